// Package musterhost runs a Go model behind Muster's host protocol.
//
// A model reads columns by name and writes columns by name:
//
//	func main() {
//		musterhost.Serve(func(musterhost.Load) (musterhost.Model, error) {
//			return musterhost.ModelFunc(predict), nil
//		})
//	}
//
//	func predict(in *musterhost.Inputs, out *musterhost.Outputs) error {
//		doubled := musterhost.Values[float64](in, "x")
//		for row := range doubled {
//			doubled[row] *= 2
//		}
//		musterhost.Set(out, "y", doubled)
//		return nil
//	}
//
// The program is started by Muster in the bundle's folder, with the wire on descriptors 3 and 4, or on standard input and
// output where the bundle says wire = "lines". What it prints goes to the host's log.
package musterhost
