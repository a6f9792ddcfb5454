package musterhost

import (
	"encoding/binary"
	"fmt"
)

var little = binary.LittleEndian

// Load is what a program is told before its first question.
type Load struct {
	// Protocol is the version of the wire.
	Protocol int `json:"protocol"`
	// Bundle is the folder of the model's files; the program runs in it.
	Bundle string `json:"bundle"`
	// Environment is the folder of what was built.
	Environment string `json:"environment"`
	// Threads is how many of them the model may use.
	Threads int `json:"threads"`
	// Inputs and Outputs are the contract, in the order of the wire.
	Inputs  []Field `json:"inputs"`
	Outputs []Field `json:"outputs"`
}

// Field is one input or output of the contract.
type Field struct {
	Name string `json:"name"`
	// Datatype is one of BOOL, UINT8 to UINT64, INT8 to INT64, FP16, FP32, FP64 and BYTES (text).
	Datatype string `json:"datatype"`
	// Shape holds the extents of one row's tensor; it is empty for a scalar.
	Shape    []int `json:"shape"`
	Nullable bool  `json:"nullable"`
}

// Elements is the number of values in one row.
func (f Field) Elements() int {
	count := 1
	for _, extent := range f.Shape {
		count *= extent
	}
	return count
}

// Element is a Go type that one datatype of the contract has.
type Element interface {
	bool | uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | Half | float32 | float64 | string
}

// itemBytes holds the bytes of one element; texts vary.
var itemBytes = map[string]int{
	"BOOL": 1, "UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "FP16": 2, "UINT32": 4, "INT32": 4, "FP32": 4,
	"UINT64": 8, "INT64": 8, "FP64": 8, "BYTES": 0,
}

func checkFields(fields []Field) error {
	for _, field := range fields {
		if _, known := itemBytes[field.Datatype]; !known {
			return fmt.Errorf("field %q has the datatype %q, which this host does not know", field.Name, field.Datatype)
		}
	}
	return nil
}

// datatypeOf is the datatype whose elements have the type T.
func datatypeOf[T Element]() string {
	var zero T
	switch any(zero).(type) {
	case bool:
		return "BOOL"
	case uint8:
		return "UINT8"
	case int8:
		return "INT8"
	case uint16:
		return "UINT16"
	case int16:
		return "INT16"
	case uint32:
		return "UINT32"
	case int32:
		return "INT32"
	case uint64:
		return "UINT64"
	case int64:
		return "INT64"
	case Half:
		return "FP16"
	case float32:
		return "FP32"
	case float64:
		return "FP64"
	default:
		return "BYTES"
	}
}

// column is one field's bytes: data in the raw layout, and no or one byte per row that says whether it is null.
type column struct {
	data, nulls []byte
}
