package musterhost

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestHalves claims that every 16-bit float survives as a 32-bit float, not-a-numbers with their bits.
func TestHalves(t *testing.T) {
	for bits := range 1 << 16 {
		back, ok := HalfOf(Half(bits).Float32())
		if !ok || back != Half(bits) {
			t.Fatalf("%#04x came back as %#04x, %v", bits, back, ok)
		}
	}
	for _, value := range []float32{0.1, 65520, 0x1p-25, 1 + 0x1p-11} {
		if half, ok := HalfOf(value); ok {
			t.Errorf("%v became %v", value, half)
		}
	}
}

// testBits claims that any bytes of a datatype come back as they went in.
func testBits[T Element](t *testing.T, datatype string) {
	t.Helper()
	raw := []byte{1, 0, 0xa0, 0x7f, 5, 6, 0xf0, 0x7f, 8, 7, 6, 5, 4, 3, 2, 0xff}
	if datatype == "BOOL" {
		raw = []byte{0, 1, 1, 0}
	}
	if datatype == "BYTES" {
		raw = bytesOf([]string{"", "Zoë\x00", "日本語", "\U0001f46a"})
	}
	rows := 4
	if size := itemBytes[datatype]; size > 0 {
		rows = len(raw) / size
	}
	in := &Inputs{rows: rows, fields: []Field{{Name: "x", Datatype: datatype}}, columns: []column{{data: raw}}}
	out := newOutputs(rows, []Field{{Name: "y", Datatype: datatype}})
	Set(out, "y", Values[T](in, "x"))
	if !bytes.Equal(out.columns[0].data, raw) {
		t.Errorf("%s: %x became %x", datatype, raw, out.columns[0].data)
	}
}

func TestEveryDatatypeKeepsItsBits(t *testing.T) {
	testBits[bool](t, "BOOL")
	testBits[uint8](t, "UINT8")
	testBits[int8](t, "INT8")
	testBits[uint16](t, "UINT16")
	testBits[int16](t, "INT16")
	testBits[uint32](t, "UINT32")
	testBits[int32](t, "INT32")
	testBits[uint64](t, "UINT64")
	testBits[int64](t, "INT64")
	testBits[Half](t, "FP16")
	testBits[float32](t, "FP32")
	testBits[float64](t, "FP64")
	testBits[string](t, "BYTES")
}

// TestFloats claims that any number is to be had as float64, a null as NaN.
func TestFloats(t *testing.T) {
	in := &Inputs{
		rows:   2,
		fields: []Field{{Name: "n", Datatype: "INT8", Nullable: true}, {Name: "b", Datatype: "BOOL"}, {Name: "h", Datatype: "FP16"}},
		columns: []column{
			{data: []byte{0xff, 0}, nulls: []byte{0, 1}},
			{data: []byte{0, 1}},
			{data: []byte{0, 0x3c, 0, 0xc0}},
		},
	}
	if got := in.Floats("n"); got[0] != -1 || !math.IsNaN(got[1]) {
		t.Errorf("n is %v", got)
	}
	if got := in.Floats("b"); !slices.Equal(got, []float64{0, 1}) {
		t.Errorf("b is %v", got)
	}
	if got := in.Floats("h"); !slices.Equal(got, []float64{1, -2}) {
		t.Errorf("h is %v", got)
	}
	if got := in.Nulls("n"); !slices.Equal(got, []bool{false, true}) {
		t.Errorf("nulls are %v", got)
	}
	if in.Nulls("b") != nil {
		t.Error("b has nulls")
	}
}

// TestMistakes claims that a mistake in names, types or lengths is told with the field.
func TestMistakes(t *testing.T) {
	in := &Inputs{rows: 1, fields: []Field{{Name: "x", Datatype: "INT64"}}, columns: []column{{data: make([]byte, 8)}}}
	out := newOutputs(1, []Field{{Name: "y", Datatype: "FP64"}})
	for want, do := range map[string]func(){
		`input "x" is INT64 and cannot be read as FP64`:  func() { Values[float64](in, "x") },
		`there is no input "z"`:                          func() { Values[float64](in, "z") },
		`there is no output "z"`:                         func() { Set(out, "z", []float64{1}) },
		`output "y" is FP64 and cannot be given as FP32`: func() { Set(out, "y", []float32{1}) },
		`output "y" has 2 values where 1 rows need 1`:    func() { Set(out, "y", []float64{1, 2}) },
		`output "y" has 2 null marks for 1 rows`:         func() { out.SetNulls("y", []bool{true, false}) },
	} {
		func() {
			defer func() {
				if raised, _ := recover().(string); !strings.Contains(raised, want) {
					t.Errorf("said %q, wanted %q", raised, want)
				}
			}()
			do()
		}()
	}
}
