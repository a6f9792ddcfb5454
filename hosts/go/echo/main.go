// Echo is the echo model of the conformance kit: it gives back what it is given, and does what the texts of "act" ask for.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"echo/musterhost"
)

func main() {
	musterhost.Serve(func(load musterhost.Load) (musterhost.Model, error) {
		return &echo{fields: load.Inputs}, nil
	})
}

type echo struct {
	fields []musterhost.Field
	held   [][]byte
}

func (e *echo) Predict(in *musterhost.Inputs, out *musterhost.Outputs) error {
	for _, field := range e.fields {
		if field.Name != "act" {
			continue
		}
		for _, text := range musterhost.Values[string](in, "act") {
			if err := e.act(text); err != nil {
				return err
			}
		}
	}
	for _, field := range e.fields {
		copies[field.Datatype](in, out, field.Name)
		if field.Nullable {
			out.SetNulls("y_"+field.Name, in.Nulls(field.Name))
		}
	}
	return nil
}

func (e *echo) act(text string) error {
	deed, given, _ := strings.Cut(text, ":")
	amount, _ := strconv.Atoi(given) // any other text means nothing
	switch deed {
	case "raise":
		return errors.New("asked to")
	case "print":
		fmt.Println("asked to print")
	case "sleep":
		time.Sleep(time.Duration(amount) * time.Millisecond)
	case "exit":
		os.Exit(3)
	case "allocate":
		memory := make([]byte, amount<<20)
		for at := 0; at < len(memory); at += 4096 {
			memory[at] = 1
		}
		e.held = append(e.held, memory)
	}
	return nil
}

// copies holds for each datatype what gives an input back as the output of its name.
var copies = map[string]func(*musterhost.Inputs, *musterhost.Outputs, string){
	"BOOL": copied[bool], "BYTES": copied[string], "UINT8": copied[uint8], "INT8": copied[int8], "UINT16": copied[uint16],
	"INT16": copied[int16], "UINT32": copied[uint32], "INT32": copied[int32], "UINT64": copied[uint64], "INT64": copied[int64],
	"FP16": copied[musterhost.Half], "FP32": copied[float32], "FP64": copied[float64],
}

func copied[T musterhost.Element](in *musterhost.Inputs, out *musterhost.Outputs, name string) {
	musterhost.Set(out, "y_"+name, musterhost.Values[T](in, name))
}
