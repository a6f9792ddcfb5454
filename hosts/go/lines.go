package musterhost

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

const maxSafeInteger = 1 << 53

// question is one line from Muster: load is there in the first, inputs in all others.
type lineQuestion struct {
	Load   *Load       `json:"load"`
	ID     string      `json:"id"`
	Inputs []lineField `json:"inputs"`
}

type lineField struct {
	Name  string            `json:"name"`
	Shape []int             `json:"shape"`
	Data  []json.RawMessage `json:"data"`
}

// serveLines speaks JSON, one object a line, until the input ends; the result is the status of the process. It carries the
// same columns as the binary wire, written as text.
func serveLines(questions io.Reader, answers io.Writer, load func(Load) (Model, error)) int {
	var host host
	reader := bufio.NewReaderSize(questions, bufferBytes)
	say := func(document any) error {
		text, err := json.Marshal(document)
		if err != nil {
			return err
		}
		_, err = answers.Write(append(text, '\n'))
		return err
	}
	for {
		line, err := reader.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return 0
		}
		var question lineQuestion
		if err := json.Unmarshal(line, &question); err != nil {
			return broken(fmt.Errorf("a line is no question: %w", err))
		}
		if question.Load != nil {
			if err := host.load(*question.Load, load); err != nil {
				_ = say(map[string]string{"error": err.Error()}) // the process ends with a status that says the same
				return exitLoadFailed
			}
			err = say(map[string]any{"loaded": about})
		} else if outputs, failed := host.answeredLine(question); failed != nil {
			err = say(map[string]string{"id": question.ID, "error": failed.Error()})
		} else {
			err = say(map[string]any{"id": question.ID, "outputs": outputs})
		}
		if err != nil {
			return broken(err)
		}
	}
}

func (h *host) answeredLine(question lineQuestion) ([]json.RawMessage, error) {
	if h.model == nil || len(question.Inputs) != len(h.inputs) || len(question.Inputs[0].Shape) == 0 {
		return nil, fmt.Errorf("%d inputs, the contract has %d", len(question.Inputs), len(h.inputs))
	}
	rows := question.Inputs[0].Shape[0]
	columns := make([]column, len(h.inputs))
	for index, field := range h.inputs {
		var err error
		if columns[index], err = columnOf(field, rows, question.Inputs[index].Data); err != nil {
			return nil, fmt.Errorf("input %q: %w", field.Name, err)
		}
	}
	answer, err := h.predict(rows, columns)
	if err != nil {
		return nil, err
	}
	outputs := make([]json.RawMessage, len(answer))
	for index, field := range h.outputs {
		if outputs[index], err = lineOf(field, rows, answer[index]); err != nil {
			return nil, err
		}
	}
	return outputs, nil
}

// columnOf is a column of JSON values, flat and row-major: integers beyond 2^53 and what is no finite number are texts.
func columnOf(field Field, rows int, values []json.RawMessage) (column, error) {
	if len(values) != rows*field.Elements() {
		return column{}, fmt.Errorf("%d values for %d rows", len(values), rows)
	}
	var found column
	for at, value := range values {
		text := string(value)
		if text == "null" {
			if found.nulls == nil {
				found.nulls = make([]byte, rows)
			}
			found.nulls[at/field.Elements()] = 1
			text = map[string]string{"BYTES": `""`, "BOOL": "false"}[field.Datatype]
			if text == "" {
				text = "0"
			}
		}
		var err error
		if found.data, err = appendValue(found.data, field.Datatype, text); err != nil {
			return column{}, err
		}
	}
	return found, nil
}

// appendValue adds the bytes of one JSON value that is not null.
func appendValue(data []byte, datatype, text string) ([]byte, error) {
	if datatype == "BYTES" {
		var value string
		err := json.Unmarshal([]byte(text), &value)
		return append(little.AppendUint32(data, uint32(len(value))), value...), err
	}
	bare := strings.Trim(text, `"`)
	switch datatype {
	case "BOOL":
		return append(data, map[string]byte{"true": 1}[bare]), nil
	case "FP16":
		value, err := strconv.ParseFloat(bare, 32)
		half, ok := HalfOf(float32(value))
		if err == nil && !ok {
			err = errors.New(bare + " is no FP16")
		}
		return little.AppendUint16(data, uint16(half)), err
	case "FP32":
		value, err := strconv.ParseFloat(bare, 32)
		return little.AppendUint32(data, math.Float32bits(float32(value))), err
	case "FP64":
		value, err := strconv.ParseFloat(bare, 64)
		return little.AppendUint64(data, math.Float64bits(value)), err
	}
	bits := 8 * itemBytes[datatype]
	var value uint64
	var err error
	if strings.HasPrefix(datatype, "U") {
		value, err = strconv.ParseUint(bare, 10, bits)
	} else {
		var signed int64
		signed, err = strconv.ParseInt(bare, 10, bits)
		value = uint64(signed)
	}
	return append(data, little.AppendUint64(nil, value)[:bits/8]...), err
}

// lineOf is an output as a JSON object.
func lineOf(field Field, rows int, column column) (json.RawMessage, error) {
	head, err := json.Marshal(map[string]any{
		"name": field.Name, "datatype": field.Datatype, "shape": append([]int{rows}, field.Shape...),
	})
	if err != nil {
		return nil, err
	}
	text := append(head[:len(head)-1], `,"data":[`...)
	data := column.data
	for at := range rows * field.Elements() {
		if at > 0 {
			text = append(text, ',')
		}
		size := itemBytes[field.Datatype]
		if size == 0 {
			size = 4 + int(little.Uint32(data))
		}
		if len(column.nulls) > 0 && column.nulls[at/field.Elements()] != 0 {
			text = append(text, "null"...)
		} else if text, err = appendText(text, field, data[:size]); err != nil {
			return nil, err
		}
		data = data[size:]
	}
	return append(text, "]}"...), nil
}

// appendText adds one value, whose bytes these are, as JSON.
func appendText(text []byte, field Field, data []byte) ([]byte, error) {
	var wide [8]byte
	copy(wide[:], data)
	bits := little.Uint64(wide[:])
	switch field.Datatype {
	case "BYTES":
		if !utf8.Valid(data[4:]) {
			return nil, fmt.Errorf("%w: %q is not UTF-8", errOutput, field.Name)
		}
		quoted, err := json.Marshal(string(data[4:]))
		return append(text, quoted...), err
	case "BOOL":
		return strconv.AppendBool(text, bits != 0), nil
	case "FP16":
		return appendFloat(text, float64(Half(bits).Float32())), nil
	case "FP32":
		return appendFloat(text, float64(math.Float32frombits(uint32(bits)))), nil
	case "FP64":
		return appendFloat(text, math.Float64frombits(bits)), nil
	}
	if strings.HasPrefix(field.Datatype, "U") {
		return appendInteger(text, strconv.FormatUint(bits, 10), bits > maxSafeInteger), nil
	}
	unused := 64 - 8*len(data)
	signed := int64(bits<<unused) >> unused
	return appendInteger(text, strconv.FormatInt(signed, 10), signed > maxSafeInteger || signed < -maxSafeInteger), nil
}

func appendInteger(text []byte, digits string, asText bool) []byte {
	if asText {
		digits = `"` + digits + `"`
	}
	return append(text, digits...)
}

// appendFloat adds the shortest decimal that gives the same bits back.
func appendFloat(text []byte, value float64) []byte {
	switch {
	case math.IsNaN(value):
		return append(text, `"NaN"`...)
	case math.IsInf(value, 1):
		return append(text, `"Infinity"`...)
	case math.IsInf(value, -1):
		return append(text, `"-Infinity"`...)
	case value == 0 && math.Signbit(value):
		return append(text, "-0.0"...) // "-0" may be read as an integer, which has no sign
	}
	return strconv.AppendFloat(text, value, 'g', -1, 64)
}
