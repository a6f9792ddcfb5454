package musterhost

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

var (
	inputs  = []Field{{Name: "x", Datatype: "FP64"}, {Name: "n", Datatype: "INT64", Nullable: true}}
	outputs = []Field{{Name: "y_x", Datatype: "FP64"}, {Name: "y_n", Datatype: "INT64", Nullable: true}}
)

func echo(in *Inputs, out *Outputs) error {
	x := Values[float64](in, "x")
	for _, value := range x {
		switch value {
		case 13:
			return errors.New("asked to")
		case 14:
			panic("asked to")
		case 15:
			return nil // without any output
		}
	}
	Set(out, "y_x", x)
	Set(out, "y_n", Values[int64](in, "n"))
	out.SetNulls("y_n", in.Nulls("n"))
	return nil
}

func loadEcho(Load) (Model, error) { return ModelFunc(echo), nil }

func question(sequence uint64, x []float64, n []int64, nulls []byte) []byte {
	columns := []column{{data: bytesOf(x)}, {data: bytesOf(n), nulls: nulls}}
	table := answerFrame(sequence, len(x), columns)[headBytes+leadBytes:]
	payload := append(little.AppendUint32([]byte{1, 0, 0, 0, 0, 0, 0, 0}, uint32(len(x))), 0, 0, 0, 0)
	payload = append(payload, table...)
	return append(headed(kindPredict, sequence, len(payload)), payload...)
}

func loadFrame(t *testing.T) []byte {
	t.Helper()
	text, err := json.Marshal(Load{Protocol: 1, Inputs: inputs, Outputs: outputs})
	if err != nil {
		t.Fatal(err)
	}
	return append(headed(kindLoad, 0, len(text)), text...)
}

// served runs a conversation over the binary wire and gives every frame that was said.
func served(t *testing.T, load func(Load) (Model, error), frames ...[]byte) ([]frame, int) {
	t.Helper()
	var said bytes.Buffer
	status := serveFrames(bytes.NewReader(bytes.Join(frames, nil)), &said, load)
	var answers []frame
	for said.Len() > 0 {
		answer, err := readFrame(&said)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer)
	}
	return answers, status
}

// TestAnswer claims that a batch comes back under the sequence of its question, laid out as the protocol says.
func TestAnswer(t *testing.T) {
	said, status := served(t, loadEcho, loadFrame(t), question(7, []float64{1.5, -2}, []int64{1 << 62, 0}, []byte{0, 1}))
	if status != 0 || len(said) != 2 || said[0].kind != kindLoaded || said[1].kind != kindAnswer || said[1].sequence != 7 {
		t.Fatalf("status %d, said %v", status, said)
	}
	lead := "0100000000000000" + "0000000000000000" + "0000000000000000" + "020000007b7d0000"
	if got := hex.EncodeToString(said[1].payload[:leadBytes]); got != lead {
		t.Errorf("the lead is %s", got)
	}
	rows, columns, err := readQuestion(append([]byte{0, 0, 0, 0, 0, 0, 0, 0}, said[1].payload[leadBytes:]...))
	if err != nil || rows != 2 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	if !bytes.Equal(columns[0].data, bytesOf([]float64{1.5, -2})) || !bytes.Equal(columns[1].nulls, []byte{0, 1}) {
		t.Errorf("columns are %v", columns)
	}
}

// TestNoRows claims that no rows are answered with no rows.
func TestNoRows(t *testing.T) {
	said, _ := served(t, loadEcho, loadFrame(t), question(1, nil, nil, nil))
	if said[1].kind != kindAnswer || little.Uint32(said[1].payload[leadBytes:]) != 0 {
		t.Errorf("said %v", said[1])
	}
}

// TestErrors claims that an error, a panic or a missing output costs its batch only, and is told as what it is.
func TestErrors(t *testing.T) {
	frames := [][]byte{loadFrame(t)}
	for sequence, x := range []float64{13, 14, 15, 1} {
		frames = append(frames, question(uint64(sequence), []float64{x}, []int64{0}, nil))
	}
	said, status := served(t, loadEcho, frames...)
	if status != 0 || len(said) != 5 || said[4].kind != kindAnswer {
		t.Fatalf("status %d, said %v", status, said)
	}
	for index, want := range []string{
		`{"code":"model-raised","message":"asked to"}`,
		`{"code":"model-raised","message":"panic: asked to"}`,
		`{"code":"output-broken","message":"output broken: \"y_x\" was not set"}`,
	} {
		if got := string(said[1+index].payload); said[1+index].kind != kindError || got != want {
			t.Errorf("said %s", got)
		}
	}
}

// TestLoadFails claims that an error or a panic while loading is told before the program ends.
func TestLoadFails(t *testing.T) {
	for want, load := range map[string]func(Load) (Model, error){
		"open nothing: no such file or directory": func(Load) (Model, error) { _, err := os.ReadFile("nothing"); return nil, err },
		"panic: asked to":                         func(Load) (Model, error) { panic("asked to") },
		"load gave no model":                      func(Load) (Model, error) { return nil, nil },
	} {
		said, status := served(t, load, loadFrame(t))
		if status != exitLoadFailed || len(said) != 1 || said[0].kind != kindError || !strings.Contains(string(said[0].payload), want) {
			t.Errorf("status %d, said %s", status, said[0].payload)
		}
	}
}

// TestWireEnds claims that STOP ends with status 0, what is no frame with another, and a wrong table is told.
func TestWireEnds(t *testing.T) {
	if _, status := served(t, loadEcho, loadFrame(t), headed(kindStop, 0, 0), []byte("never read")); status != 0 {
		t.Errorf("STOP ended with %d", status)
	}
	if _, status := served(t, loadEcho, []byte("GET / HTTP/1.1\r\n\r\n")); status != exitWireBroken {
		t.Errorf("nonsense ended with %d", status)
	}
	cut := append(headed(kindPredict, 3, 8), 1, 0, 0, 0, 0, 0, 0, 0)
	said, _ := served(t, loadEcho, loadFrame(t), cut)
	if !strings.Contains(string(said[1].payload), "table-broken") {
		t.Errorf("said %s", said[1].payload)
	}
}

// TestLines claims that the wire of lines carries the same values as text.
func TestLines(t *testing.T) {
	load, err := json.Marshal(map[string]any{"muster": 1, "load": Load{Protocol: 1, Inputs: inputs, Outputs: outputs}})
	if err != nil {
		t.Fatal(err)
	}
	lines := string(load) + "\n" +
		`{"id":"17","inputs":[{"name":"x","datatype":"FP64","shape":[3],"data":[-0.0,0.1,"NaN"]},` +
		`{"name":"n","datatype":"INT64","shape":[3],"data":["-9223372036854775808",null,9007199254740992]}]}` + "\n" +
		`{"id":"18","inputs":[{"name":"x","shape":[1],"data":[13]},{"name":"n","shape":[1],"data":[0]}]}` + "\n"
	var said bytes.Buffer
	if status := serveLines(strings.NewReader(lines), &said, loadEcho); status != 0 {
		t.Errorf("status %d", status)
	}
	want := `{"loaded":{"helper":"1","language":"go"}}
{"id":"17","outputs":[{"datatype":"FP64","name":"y_x","shape":[3],"data":[-0.0,0.1,"NaN"]},` +
		`{"datatype":"INT64","name":"y_n","shape":[3],"data":["-9223372036854775808",null,9007199254740992]}]}
{"error":"asked to","id":"18"}
`
	if said.String() != want {
		t.Errorf("said\n%swanted\n%s", said.String(), want)
	}
}

// TestEveryDatatypeAsText claims that the text of any value gives its bytes back.
func TestEveryDatatypeAsText(t *testing.T) {
	raw := []byte{1, 0, 0xa0, 0x7b, 5, 6, 0xf0, 0x7b, 8, 7, 6, 5, 4, 3, 2, 0xfb}
	for datatype, size := range itemBytes {
		data := raw
		if datatype == "BOOL" {
			data = []byte{0, 1}
		}
		if size == 0 {
			size, data = 8, append(bytesOf([]string{"<&\u2028"}), bytesOf([]string{"\x00日本\""})...)
			size = len(data) / 2
		}
		field := Field{Name: "x", Datatype: datatype}
		rows := len(data) / size
		line, err := lineOf(field, rows, column{data: data})
		if err != nil {
			t.Fatal(err)
		}
		var object lineField
		if err := json.Unmarshal(line, &object); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		back, err := columnOf(field, rows, object.Data)
		if err != nil || !bytes.Equal(back.data, data) {
			t.Errorf("%s: %x became %x by %s, %v", datatype, data, back.data, line, err)
		}
	}
}
