//! The loop over streams of bytes, as Muster speaks with it.

use muster_host::{serve, Half, Inputs, Outputs, Result};
use std::io;

const LOAD: &str = r#"{"protocol": 1, "bundle": "/bundle", "environment": "/environment", "entry": ".", "threads": 2,
    "inputs": [{"name": "tenure", "datatype": "INT64", "shape": [], "nullable": false},
               {"name": "text", "datatype": "BYTES", "shape": [], "nullable": true},
               {"name": "pair", "datatype": "FP32", "shape": [2], "nullable": true}],
    "outputs": [{"name": "score", "datatype": "FP64", "shape": [], "nullable": true},
                {"name": "word", "datatype": "BYTES", "shape": [], "nullable": false}]}"#;

fn frame(kind: u8, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes().to_vec();
    bytes.extend([kind, 1, 0, 0]);
    bytes.extend(sequence.to_le_bytes());
    bytes.extend(payload);
    bytes
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().div_ceil(8) * 8, 0);
    bytes
}

fn table(rows: u32, columns: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = rows.to_le_bytes().to_vec();
    bytes.extend((columns.len() as u32).to_le_bytes());
    for (data, nulls) in columns {
        bytes.extend((data.len() as u64).to_le_bytes());
        bytes.extend((nulls.len() as u64).to_le_bytes());
    }
    for (data, nulls) in columns {
        bytes.extend(padded(data));
        bytes.extend(padded(nulls));
    }
    bytes
}

fn question(sequence: u64, rows: u32, columns: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut payload = [1, 0, rows, 0]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect::<Vec<u8>>();
    payload.extend(table(rows, columns));
    frame(4, sequence, &payload)
}

fn two_rows(sequence: u64) -> Vec<u8> {
    let tenure: Vec<u8> = [i64::MIN, 7].iter().flat_map(|n| n.to_le_bytes()).collect();
    let pair: Vec<u8> = [1.5f32, -0.0, 0.0, 0.0]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let text = b"\x04\0\0\0\xf0\x9f\x98\x80\0\0\0\0";
    question(
        sequence,
        2,
        &[(&tenure, b""), (text, b"\0\x01"), (&pair, b"\0\x01")],
    )
}

fn no_rows(sequence: u64) -> Vec<u8> {
    question(sequence, 0, &[(b"", b""), (b"", b""), (b"", b"")])
}

type Predict = fn(&Inputs, &mut Outputs) -> Result<()>;

/// Kind, sequence and payload.
type Frame = (u8, u64, Vec<u8>);

/// How the loop ended, and every frame that it said.
fn said(asked: &[Vec<u8>], predict: Predict) -> (io::Result<()>, Vec<Frame>) {
    let mut bytes = Vec::new();
    let end = serve(asked.concat().as_slice(), &mut bytes, |order| {
        assert_eq!(order.bundle.to_str(), Some("/bundle"));
        assert_eq!((order.threads, order.inputs.len()), (2, 3));
        Ok(predict)
    });
    let mut frames = Vec::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        let sequence = u64::from_le_bytes(rest[8..16].try_into().unwrap());
        frames.push((rest[4], sequence, rest[16..16 + length].to_vec()));
        rest = &rest[16 + length..];
    }
    (end, frames)
}

fn lengths(inputs: &Inputs, outputs: &mut Outputs) -> Result<()> {
    let tenure = inputs.values::<i64>("tenure")?;
    let pairs = inputs.numbers("pair")?;
    let score: Vec<Option<f64>> = (0..inputs.rows())
        .map(|row| (tenure[row] > 0).then_some(2.5 * tenure[row] as f64))
        .collect();
    if inputs.rows() == 2 {
        assert_eq!(tenure[0], i64::MIN);
        assert_eq!(inputs.nulls("text")?, [false, true]);
        assert_eq!(pairs[..2], [1.5, 0.0]);
        assert!(pairs[1].is_sign_negative() && pairs[2].is_nan() && pairs[3].is_nan());
        assert_eq!(inputs.values::<f32>("pair")?[2], 0.0);
    }
    outputs.put_options("score", &score)?;
    outputs.put("word", &inputs.texts("text")?)
}

#[test]
fn rows_are_answered_bit_for_bit() {
    let asked = [
        frame(2, 9, LOAD.as_bytes()),
        two_rows(17),
        no_rows(18),
        frame(9, 0, b"{}"),
    ];
    let (end, frames) = said(&asked, lengths);
    end.unwrap();
    assert_eq!((frames[0].0, frames[0].1), (3, 9));
    let mut wanted = vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    wanted.extend([0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, b'{', b'}', 0, 0]);
    let score: Vec<u8> = [0.0f64, 17.5]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let text = b"\x04\0\0\0\xf0\x9f\x98\x80\0\0\0\0";
    wanted.extend(table(2, &[(&score, b"\x01\0"), (text, b"")]));
    assert_eq!(frames[1], (5, 17, wanted));
    assert_eq!((frames[2].0, frames[2].1, frames[2].2.len()), (5, 18, 72));
    assert_eq!(frames.len(), 3);
}

#[test]
fn an_error_or_a_panic_costs_one_batch() {
    fn sometimes(inputs: &Inputs, outputs: &mut Outputs) -> Result<()> {
        match inputs.rows() {
            2 => Err("no \"such\" row".into()),
            _ => lengths(inputs, outputs),
        }
    }
    fn panics(inputs: &Inputs, outputs: &mut Outputs) -> Result<()> {
        assert_ne!(inputs.rows(), 2, "two rows are too many");
        lengths(inputs, outputs)
    }
    for (predict, problem) in [
        (sometimes as Predict, "no \\\"such\\\" row"),
        (panics, "two rows"),
    ] {
        let (end, frames) = said(
            &[frame(2, 0, LOAD.as_bytes()), two_rows(1), no_rows(2)],
            predict,
        );
        end.unwrap();
        let text = String::from_utf8(frames[1].2.clone()).unwrap();
        assert_eq!((frames[1].0, frames[1].1), (6, 1));
        assert!(
            text.contains("model-raised") && text.contains(problem),
            "{text}"
        );
        assert_eq!((frames[2].0, frames[2].1), (5, 2));
    }
}

#[test]
fn what_a_model_gives_is_held_against_the_contract() {
    let wrong: [(Predict, &str); 8] = [
        (|_, _| Ok(()), "no output"),
        (
            |_, outputs| outputs.put("score", &[1.0]),
            "1 values instead of 2",
        ),
        (
            |_, outputs| outputs.put("score", &[1, 2]),
            "Fp64, not Int32",
        ),
        (
            |_, outputs| outputs.put("scores", &[1.0]),
            "there are score, word",
        ),
        (
            |_, outputs| outputs.put_options("word", &[None, Some("a")]),
            "not nullable",
        ),
        (
            |inputs, _| inputs.values::<f64>("tenure").map(|_| ()),
            "Int64, not Fp64",
        ),
        (|inputs, _| inputs.numbers("text").map(|_| ()), "is text"),
        (
            |inputs, _| inputs.options::<f32>("pair").map(|_| ()),
            "is a tensor",
        ),
    ];
    for (predict, problem) in wrong {
        let (_, frames) = said(&[frame(2, 0, LOAD.as_bytes()), two_rows(1)], predict);
        let text = String::from_utf8(frames[1].2.clone()).unwrap();
        assert!(
            frames[1].0 == 6 && text.contains(problem),
            "{problem}: {text}"
        );
    }
}

#[test]
fn a_model_that_cannot_be_loaded_says_why() {
    let mut bytes = Vec::new();
    let asked = frame(2, 3, LOAD.as_bytes());
    serve(asked.as_slice(), &mut bytes, |_| {
        Err::<Predict, _>("no weights".into())
    })
    .unwrap();
    let text = String::from_utf8_lossy(&bytes[16..]);
    assert_eq!(bytes[4], 6);
    assert!(
        text.contains("load-failed") && text.contains("no weights"),
        "{text}"
    );
}

#[test]
fn bytes_that_are_no_frame_end_the_loop() {
    let mut other = frame(2, 0, LOAD.as_bytes());
    other[5] = 2;
    let cut = two_rows(1)[..40].to_vec();
    let load = frame(2, 0, LOAD.as_bytes());
    for asked in [
        vec![other],
        vec![load.clone(), cut],
        vec![load.clone(), load],
    ] {
        assert!(said(&asked, lengths).0.is_err());
    }
}

#[test]
fn halves_are_the_numbers_they_stand_for() {
    for (bits, value) in [
        (0x3c00, 1.0),
        (0xc100, -2.5),
        (0x0001, 2f64.powi(-24)),
        (0x7bff, 65504.0),
    ] {
        assert_eq!(Half(bits).to_f64(), value);
    }
    assert_eq!(Half(0x7c00).to_f64(), f64::INFINITY);
    assert!(Half(0x7e00).to_f64().is_nan() && Half(0x8000).to_f64().is_sign_negative());
}
