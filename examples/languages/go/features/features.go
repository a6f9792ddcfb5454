// Package features turns columns into the numbers that the model multiplies, for training and serving alike.
package features

import (
	"encoding/json"
	"math"
	"os"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// Column is one column: numbers, NaN where there is none, or texts.
type Column struct {
	Numbers []float64
	Texts   []string
}

// Feature says how a column becomes numbers: one standardised, or one for each category.
type Feature struct {
	Name       string   `json:"name"`
	Categories []string `json:"categories,omitempty"`
	Mean       float64  `json:"mean,omitempty"`
	Scale      float64  `json:"scale,omitempty"`
}

// Model is a logistic regression. Weights begins with the intercept.
type Model struct {
	Features []Feature `json:"features"`
	Weights  []float64 `json:"weights"`
}

// Learn says how a column becomes numbers, from the training rows.
func Learn(name string, column Column) Feature {
	if column.Texts != nil {
		categories := slices.Clone(column.Texts)
		slices.Sort(categories)
		return Feature{Name: name, Categories: slices.Compact(categories)[1:]} // the first is what the others differ from
	}
	present := slices.DeleteFunc(slices.Clone(column.Numbers), math.IsNaN)
	mean := floats.Sum(present) / float64(len(present))
	floats.AddConst(-mean, present)
	return Feature{Name: name, Mean: mean, Scale: floats.Norm(present, 2) / math.Sqrt(float64(len(present)))}
}

// Rows gives each row's numbers, 1 for the intercept before them. The missing ones are those of the mean.
func Rows(features []Feature, columns map[string]Column, rows int) [][]float64 {
	matrix := make([][]float64, rows)
	for row := range matrix {
		values := []float64{1}
		for _, feature := range features {
			values = feature.appendTo(values, columns[feature.Name], row)
		}
		matrix[row] = values
	}
	return matrix
}

func (f Feature) appendTo(values []float64, column Column, row int) []float64 {
	if f.Categories == nil {
		value := (column.Numbers[row] - f.Mean) / f.Scale
		if math.IsNaN(value) {
			value = 0
		}
		return append(values, value)
	}
	for _, category := range f.Categories {
		value := 0.0
		if column.Texts[row] == category {
			value = 1
		}
		values = append(values, value)
	}
	return values
}

// Probabilities are the model's answers, one per row.
func (m Model) Probabilities(rows [][]float64) []float64 {
	answers := make([]float64, len(rows))
	for index, row := range rows {
		answers[index] = Sigmoid(floats.Dot(m.Weights, row))
	}
	return answers
}

// Sigmoid is the probability of a logit.
func Sigmoid(logit float64) float64 { return 1 / (1 + math.Exp(-logit)) }

// Read reads a model that the trainer wrote.
func Read(file string) (Model, error) {
	var model Model
	content, err := os.ReadFile(file)
	if err != nil {
		return model, err
	}
	return model, json.Unmarshal(content, &model)
}
