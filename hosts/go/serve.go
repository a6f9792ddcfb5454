package musterhost

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"
)

const (
	readDescriptor  = 3
	writeDescriptor = 4
	bufferBytes     = 1 << 16
	stacksAMinute   = 6

	exitLoadFailed = 1
	exitWireBroken = 2
)

// Model answers questions, one at a time. It may keep state between them; the rows of a question are independent.
type Model interface {
	// Predict reads the inputs and sets every output. Its error, or what it panics with, fails this question only.
	Predict(in *Inputs, out *Outputs) error
}

// ModelFunc is a function that is a Model.
type ModelFunc func(in *Inputs, out *Outputs) error

// Predict calls the function.
func (f ModelFunc) Predict(in *Inputs, out *Outputs) error { return f(in, out) }

// errOutput says that what a model gave back is not what its contract says.
var errOutput = errors.New("output broken")

// Serve loads the model and answers questions until Muster says that it is enough; then it ends the process. It is the last
// call of main. An error of load is told to Muster, which does not serve the model then.
func Serve(load func(Load) (Model, error)) {
	if os.Getenv("MUSTER_WIRE") == "lines" {
		answers := os.Stdout
		os.Stdout = os.Stderr // standard output is the wire: what the model prints goes to the log
		os.Exit(serveLines(os.Stdin, answers, load))
	}
	questions := os.NewFile(readDescriptor, "questions")
	answers := os.NewFile(writeDescriptor, "answers")
	os.Exit(serveFrames(bufio.NewReaderSize(questions, bufferBytes), answers, load))
}

// serveFrames speaks the binary wire until it ends; the result is the status of the process.
func serveFrames(questions io.Reader, answers io.Writer, load func(Load) (Model, error)) int {
	var host host
	for {
		question, err := readFrame(questions)
		if err == io.EOF || err == nil && question.kind == kindStop {
			return 0
		}
		if err != nil {
			return broken(err)
		}
		var answer []byte
		var failed bool
		switch {
		case question.kind == kindLoad:
			answer, failed = host.loaded(question, load)
		case question.kind == kindPredict && host.model != nil:
			answer = host.answered(question)
		default:
			message := fmt.Sprintf("a frame of kind %d is not for a model", question.kind)
			answer = errorFrame(question.sequence, "not-understood", message)
		}
		if _, err := answers.Write(answer); err != nil {
			return broken(err)
		}
		if failed {
			return exitLoadFailed
		}
	}
}

func broken(err error) int {
	fmt.Fprintln(os.Stderr, "musterhost:", err)
	return exitWireBroken
}

func errorFrame(sequence uint64, code, message string) []byte {
	return jsonFrame(kindError, sequence, map[string]string{"code": code, "message": message})
}

// host is a model and its contract.
type host struct {
	model   Model
	inputs  []Field
	outputs []Field
	stacks  stacks
}

var about = map[string]string{"language": "go", "helper": "1"}

func (h *host) loaded(question frame, load func(Load) (Model, error)) (answer []byte, failed bool) {
	var document Load
	err := json.Unmarshal(question.payload, &document)
	if err == nil {
		err = h.load(document, load)
	}
	if err != nil {
		return errorFrame(question.sequence, "load-failed", err.Error()), true
	}
	return jsonFrame(kindLoaded, question.sequence, about), false
}

func (h *host) load(document Load, load func(Load) (Model, error)) (err error) {
	defer h.recovered(&err)
	if err := errors.Join(checkFields(document.Inputs), checkFields(document.Outputs)); err != nil {
		return err
	}
	h.inputs, h.outputs = document.Inputs, document.Outputs
	h.model, err = load(document)
	if err == nil && h.model == nil {
		err = errors.New("load gave no model")
	}
	return err
}

func (h *host) answered(question frame) []byte {
	rows, columns, err := readQuestion(question.payload)
	if err == nil && len(columns) != len(h.inputs) {
		err = fmt.Errorf("a table of %d columns, the contract has %d inputs", len(columns), len(h.inputs))
	}
	if err != nil {
		return errorFrame(question.sequence, "table-broken", err.Error())
	}
	out, err := h.predict(rows, columns)
	switch {
	case errors.Is(err, errOutput):
		return errorFrame(question.sequence, "output-broken", err.Error())
	case err != nil:
		return errorFrame(question.sequence, "model-raised", err.Error())
	}
	return answerFrame(question.sequence, rows, out)
}

func (h *host) predict(rows int, columns []column) (answer []column, err error) {
	defer h.recovered(&err)
	out := newOutputs(rows, h.outputs)
	if err := h.model.Predict(&Inputs{rows: rows, fields: h.inputs, columns: columns}, out); err != nil {
		return nil, err
	}
	if name, is := out.missing(); is {
		return nil, fmt.Errorf("%w: %q was not set", errOutput, name)
	}
	return out.columns, nil
}

// recovered makes an error of a panic; its stack goes to the log.
func (h *host) recovered(err *error) {
	if raised := recover(); raised != nil {
		h.stacks.print(raised)
		*err = fmt.Errorf("panic: %v", raised)
	}
}

// stacks prints a few stacks a minute: a model that fails at every question does not flood the log.
type stacks struct {
	since time.Time
	count int
}

func (s *stacks) print(raised any) {
	if time.Since(s.since) > time.Minute {
		s.since, s.count = time.Now(), 0
	}
	if s.count++; s.count <= stacksAMinute {
		fmt.Fprintf(os.Stderr, "panic: %v\n%s", raised, debug.Stack())
	}
}
