package musterhost

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// Inputs are the columns of one question.
type Inputs struct {
	rows    int
	fields  []Field
	columns []column
}

// Rows is how many rows every column has; it may be 0.
func (in *Inputs) Rows() int { return in.rows }

// Nulls says of each row of an input whether it is null; it is nil where none is.
func (in *Inputs) Nulls(name string) []bool {
	_, found := in.find(name)
	if len(found.nulls) == 0 {
		return nil
	}
	nulls := make([]bool, in.rows)
	for row, mark := range found.nulls {
		nulls[row] = mark != 0
	}
	return nulls
}

// Values is an input as a slice of its own, row after row: of a tensor each row has Field.Elements values. The place of a
// null holds a zero.
//
// T has to be the Go type of the input's datatype: int64 for INT64, string for BYTES, Half for FP16. Values panics when it is
// not, or when there is no such input; Serve answers that question with what the panic says.
func Values[T Element](in *Inputs, name string) []T {
	field, found := in.find(name)
	if wanted := datatypeOf[T](); wanted != field.Datatype {
		panic(fmt.Sprintf("input %q is %s and cannot be read as %s", name, field.Datatype, wanted))
	}
	values := make([]T, in.rows*field.Elements())
	switch into := any(values).(type) {
	case []string:
		at := 0
		for index := range into {
			end := at + 4 + int(little.Uint32(found.data[at:]))
			into[index] = string(found.data[at+4 : end])
			at = end
		}
	case []Half:
		for index := range into {
			into[index] = Half(little.Uint16(found.data[2*index:]))
		}
	case []float64:
		for index := range into {
			into[index] = math.Float64frombits(little.Uint64(found.data[8*index:]))
		}
	default:
		if err := binary.Read(bytes.NewReader(found.data), little, values); err != nil {
			panic(fmt.Sprintf("input %q is cut off: %v", name, err))
		}
	}
	return values
}

// Floats is an input of numbers or truth values as float64, whatever its datatype, with NaN in the place of a null. Integers
// beyond 2^53 are rounded. It panics as Values does.
func (in *Inputs) Floats(name string) []float64 {
	field, found := in.find(name)
	floats := floatsOf(in, field)
	for row, mark := range found.nulls {
		for at := row * field.Elements(); mark != 0 && at < (row+1)*field.Elements(); at++ {
			floats[at] = math.NaN()
		}
	}
	return floats
}

func floatsOf(in *Inputs, field Field) []float64 {
	switch field.Datatype {
	case "BOOL":
		return converted(Values[bool](in, field.Name), func(value bool) float64 {
			if value {
				return 1
			}
			return 0
		})
	case "UINT8":
		return widened[uint8](in, field.Name)
	case "INT8":
		return widened[int8](in, field.Name)
	case "UINT16":
		return widened[uint16](in, field.Name)
	case "INT16":
		return widened[int16](in, field.Name)
	case "UINT32":
		return widened[uint32](in, field.Name)
	case "INT32":
		return widened[int32](in, field.Name)
	case "UINT64":
		return widened[uint64](in, field.Name)
	case "INT64":
		return widened[int64](in, field.Name)
	case "FP16":
		return converted(Values[Half](in, field.Name), func(value Half) float64 { return float64(value.Float32()) })
	case "FP32":
		return widened[float32](in, field.Name)
	case "FP64":
		return Values[float64](in, field.Name)
	default:
		panic(fmt.Sprintf("input %q is text, no numbers", field.Name))
	}
}

func converted[T Element](values []T, convert func(T) float64) []float64 {
	floats := make([]float64, len(values))
	for index, value := range values {
		floats[index] = convert(value)
	}
	return floats
}

func widened[T uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | float32](in *Inputs, name string) []float64 {
	return converted(Values[T](in, name), func(value T) float64 { return float64(value) })
}

func (in *Inputs) find(name string) (Field, column) {
	for index, field := range in.fields {
		if field.Name == name {
			return field, in.columns[index]
		}
	}
	panic(fmt.Sprintf("there is no input %q", name))
}

// Outputs take the columns of one answer.
type Outputs struct {
	rows    int
	fields  []Field
	columns []column
	set     []bool
}

func newOutputs(rows int, fields []Field) *Outputs {
	return &Outputs{rows: rows, fields: fields, columns: make([]column, len(fields)), set: make([]bool, len(fields))}
}

// Rows is how many rows every output has to have.
func (out *Outputs) Rows() int { return out.rows }

// Set gives an output its values, row after row. T has to be the Go type of the output's datatype, as with Values; Set panics
// when it is not, when there is no such output, or when the number of values is not that of the rows.
func Set[T Element](out *Outputs, name string, values []T) {
	index := out.find(name)
	field := out.fields[index]
	if given := datatypeOf[T](); given != field.Datatype {
		panic(fmt.Sprintf("output %q is %s and cannot be given as %s", name, field.Datatype, given))
	}
	if wanted := out.rows * field.Elements(); len(values) != wanted {
		panic(fmt.Sprintf("output %q has %d values where %d rows need %d", name, len(values), out.rows, wanted))
	}
	out.columns[index].data = bytesOf(values)
	out.set[index] = true
}

func bytesOf[T Element](values []T) []byte {
	switch given := any(values).(type) {
	case []string:
		size := 4 * len(given)
		for _, text := range given {
			size += len(text)
		}
		data := make([]byte, 0, size)
		for _, text := range given {
			data = append(little.AppendUint32(data, uint32(len(text))), text...)
		}
		return data
	case []Half:
		data := make([]byte, 0, 2*len(given))
		for _, half := range given {
			data = little.AppendUint16(data, uint16(half))
		}
		return data
	case []float64:
		data := make([]byte, 0, 8*len(given))
		for _, value := range given {
			data = little.AppendUint64(data, math.Float64bits(value))
		}
		return data
	default:
		var data bytes.Buffer
		if err := binary.Write(&data, little, values); err != nil {
			panic(err) // every other Element has a fixed size
		}
		return data.Bytes()
	}
}

// SetNulls says of each row of an output whether it is null; its values there should be zero, or "". Only a nullable output
// may have one. It panics as Set does.
func (out *Outputs) SetNulls(name string, nulls []bool) {
	index := out.find(name)
	if len(nulls) != out.rows && nulls != nil {
		panic(fmt.Sprintf("output %q has %d null marks for %d rows", name, len(nulls), out.rows))
	}
	marks := make([]byte, len(nulls))
	for row, null := range nulls {
		if null {
			marks[row] = 1
		}
	}
	out.columns[index].nulls = marks
}

func (out *Outputs) find(name string) int {
	for index, field := range out.fields {
		if field.Name == name {
			return index
		}
	}
	panic(fmt.Sprintf("there is no output %q", name))
}

// missing is the name of an output that was not set.
func (out *Outputs) missing() (name string, found bool) {
	for index, field := range out.fields {
		if !out.set[index] {
			return field.Name, true
		}
	}
	return "", false
}
