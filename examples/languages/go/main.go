// Churn is the model's program: a logistic regression, its features and weights as the trainer left them in model.json.
package main

import (
	"churn/features"
	"churn/musterhost"
)

func main() { musterhost.Serve(load) }

func load(document musterhost.Load) (musterhost.Model, error) {
	model, err := features.Read("model.json") // the bundle is the working directory
	return &churn{model: model, inputs: document.Inputs}, err
}

type churn struct {
	model  features.Model
	inputs []musterhost.Field
}

func (c *churn) Predict(in *musterhost.Inputs, out *musterhost.Outputs) error {
	columns := make(map[string]features.Column)
	for _, field := range c.inputs {
		if field.Datatype == "BYTES" {
			columns[field.Name] = features.Column{Texts: musterhost.Values[string](in, field.Name)}
		} else {
			columns[field.Name] = features.Column{Numbers: in.Floats(field.Name)}
		}
	}
	rows := features.Rows(c.model.Features, columns, in.Rows())
	musterhost.Set(out, "churn_probability", c.model.Probabilities(rows))
	return nil
}
