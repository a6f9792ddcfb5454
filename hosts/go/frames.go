package musterhost

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	kindLoad    = 2
	kindLoaded  = 3
	kindPredict = 4
	kindAnswer  = 5
	kindError   = 6
	kindStop    = 9

	protocol  = 1
	headBytes = 16
	leadBytes = 32
)

type frame struct {
	kind     byte
	sequence uint64
	payload  []byte
}

// readFrame is the next frame, its payload in memory of its own; io.EOF at the end.
func readFrame(from io.Reader) (frame, error) {
	var head [headBytes]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return frame{}, err
	}
	if head[5] != protocol {
		return frame{}, fmt.Errorf("not a frame of host protocol %d: %x", protocol, head)
	}
	payload := make([]byte, little.Uint32(head[:]))
	if _, err := io.ReadFull(from, payload); err != nil {
		return frame{}, errors.New("a frame is cut off")
	}
	return frame{kind: head[4], sequence: little.Uint64(head[8:]), payload: payload}, nil
}

// headed is a frame of which only the head is written, with room for a payload.
func headed(kind byte, sequence uint64, room int) []byte {
	data := make([]byte, headBytes, headBytes+room)
	little.PutUint32(data, uint32(room))
	data[4], data[5] = kind, protocol
	little.PutUint64(data[8:], sequence)
	return data
}

// jsonFrame is a frame whose payload is one JSON object.
func jsonFrame(kind byte, sequence uint64, document map[string]string) []byte {
	text, err := json.Marshal(document)
	if err != nil {
		panic(err) // texts always have a JSON form
	}
	return append(headed(kind, sequence, len(text)), text...)
}

// readQuestion is the table of a PREDICT payload; the columns share its memory.
func readQuestion(payload []byte) (rows int, columns []column, err error) {
	cut := errors.New("a table is cut off")
	if len(payload) < 8 {
		return 0, nil, cut
	}
	table := padded(8 + 4*int(little.Uint32(payload)))
	if len(payload) < table+8 {
		return 0, nil, cut
	}
	rows = int(little.Uint32(payload[table:]))
	count := int(little.Uint32(payload[table+4:]))
	lengths, at := table+8, table+8+16*count
	if len(payload) < at {
		return 0, nil, cut
	}
	columns = make([]column, count)
	for index := range columns {
		end := at + int(little.Uint64(payload[lengths+16*index:]))
		marks := int(little.Uint64(payload[lengths+16*index+8:]))
		nullsAt := padded(end)
		if end < at || marks < 0 || nullsAt+marks > len(payload) {
			return 0, nil, cut
		}
		columns[index] = column{data: payload[at:end], nulls: payload[nullsAt : nullsAt+marks]}
		at = padded(nullsAt + marks)
	}
	return rows, columns, nil
}

// answerFrame is the answer to one request.
func answerFrame(sequence uint64, rows int, columns []column) []byte {
	size := leadBytes + 8 + 16*len(columns)
	for _, column := range columns {
		size += padded(len(column.data)) + padded(len(column.nulls))
	}
	data := headed(kindAnswer, sequence, size)
	data = little.AppendUint32(data, 1)                    // one request,
	data = append(data, make([]byte, leadBytes-12)...)     // no flags, no time of our own, answered,
	data = append(data, 2, 0, 0, 0, '{', '}', 0, 0)        // no errors
	data = little.AppendUint32(data, uint32(rows))         //
	data = little.AppendUint32(data, uint32(len(columns))) //
	for _, column := range columns {
		data = little.AppendUint64(data, uint64(len(column.data)))
		data = little.AppendUint64(data, uint64(len(column.nulls)))
	}
	for _, column := range columns {
		data = appendPadded(appendPadded(data, column.data), column.nulls)
	}
	return data
}

func appendPadded(data, part []byte) []byte {
	return append(append(data, part...), make([]byte, padded(len(part))-len(part))...)
}

func padded(length int) int { return (length + 7) &^ 7 }
