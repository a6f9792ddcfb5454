// Train trains the churn model: `go run ./train DATA OUT` reads DATA/train.csv and writes OUT/model.json and OUT.expected.csv.
package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"churn/features"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

const (
	target  = "left"
	ridge   = 1.0 // keeps weights of columns that say the same from running away
	steps   = 25
	settled = 1e-10
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: train DATA OUT")
	}
	if err := train(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func train(data, out string) error {
	names, columns, rows, err := read(filepath.Join(data, "train.csv"))
	if err != nil {
		return err
	}
	left := columns[target].Numbers
	var model features.Model
	for _, name := range names {
		if name != target {
			model.Features = append(model.Features, features.Learn(name, columns[name]))
		}
	}
	matrix := features.Rows(model.Features, columns, rows)
	if model.Weights, err = fit(matrix, left); err != nil {
		return err
	}
	if err := write(model, data, out); err != nil {
		return err
	}
	fmt.Printf("%d rows, area under the curve %.4f\n", rows, areaUnderCurve(left, model.Probabilities(matrix)))
	return nil
}

// fit finds the weights of a logistic regression by Newton's method: w += inverse(X'WX + rI) (X'(y - p) - rw).
func fit(matrix [][]float64, left []float64) ([]float64, error) {
	count := len(matrix[0])
	weights := make([]float64, count)
	for range steps {
		gradient := make([]float64, count)
		curvature := mat.NewSymDense(count, nil)
		for index := 1; index < count; index++ { // the intercept is free
			gradient[index] = -ridge * weights[index]
			curvature.SetSym(index, index, ridge)
		}
		for row, values := range matrix {
			expected := features.Sigmoid(floats.Dot(weights, values))
			floats.AddScaled(gradient, left[row]-expected, values)
			curvature.SymRankOne(curvature, expected*(1-expected), mat.NewVecDense(count, values))
		}
		var factors mat.Cholesky
		if !factors.Factorize(curvature) {
			return nil, errors.New("the columns say the same too often")
		}
		change := mat.NewVecDense(count, nil)
		if err := factors.SolveVecTo(change, mat.NewVecDense(count, gradient)); err != nil {
			return nil, err
		}
		floats.Add(weights, change.RawVector().Data)
		if mat.Norm(change, 2) < settled {
			return weights, nil
		}
	}
	return nil, fmt.Errorf("the weights had not settled after %d steps", steps)
}

func write(model features.Model, data, out string) error {
	text, err := json.MarshalIndent(model, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "model.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	_, columns, rows, err := read(filepath.Join(data, "rows.csv"))
	if err != nil {
		return err
	}
	lines := []string{"churn_probability"}
	for _, answer := range model.Probabilities(features.Rows(model.Features, columns, rows)) {
		lines = append(lines, strconv.FormatFloat(answer, 'g', -1, 64))
	}
	return os.WriteFile(out+".expected.csv", []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// read reads columns: numbers where all values are, NaN where there is none.
func read(file string) (names []string, columns map[string]features.Column, rows int, err error) {
	stream, err := os.Open(file)
	if err != nil {
		return nil, nil, 0, err
	}
	defer stream.Close()
	lines, err := csv.NewReader(stream).ReadAll()
	if err != nil {
		return nil, nil, 0, err
	}
	names, lines = lines[0], lines[1:]
	columns = make(map[string]features.Column)
	for index, name := range names {
		column := features.Column{Numbers: make([]float64, len(lines))}
		for row, line := range lines {
			column.Texts = append(column.Texts, line[index])
			value, err := strconv.ParseFloat(line[index], 64)
			if line[index] == "" {
				value, err = math.NaN(), nil
			}
			if err != nil {
				column.Numbers = nil
			}
			if column.Numbers != nil {
				column.Numbers[row] = value
			}
		}
		if column.Numbers != nil {
			column.Texts = nil
		}
		columns[name] = column
	}
	return names, columns, len(lines), nil
}

// areaUnderCurve is how often a row that left has a higher probability than one that stayed.
func areaUnderCurve(left, probabilities []float64) float64 {
	order := make([]int, len(left))
	floats.Argsort(slices.Clone(probabilities), order)
	ranks := 0.0
	for rank, row := range order {
		ranks += left[row] * float64(rank+1)
	}
	gone := floats.Sum(left)
	return (ranks - gone*(gone+1)/2) / (gone * (float64(len(left)) - gone))
}
