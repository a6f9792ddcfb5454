//! Frames in, frames out: one blocking loop.

use std::any::Any;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::FromRawFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::json::{parse, quoted, Value};
use crate::{Error, Field, Inputs, Outputs, Result};

const PROTOCOL: u8 = 1;
const LOAD: u8 = 2;
const LOADED: u8 = 3;
const PREDICT: u8 = 4;
const ANSWER: u8 = 5;
const ERROR: u8 = 6;
const STOP: u8 = 9;
const HEAD_BYTES: usize = 16;
/// Before the table of an ANSWER: one request, answered, without errors; the time is for the asker to measure.
const ANSWER_LEAD: [u8; 32] = {
    let mut lead = [0; 32];
    lead[0] = 1;
    lead[24] = 2;
    lead[28] = b'{';
    lead[29] = b'}';
    lead
};
/// What follows "requests" in a PREDICT: flags, rows of the one request, padding.
const PREDICT_LEAD_BYTES: usize = 16;

/// A model. Closures `FnMut(&Inputs, &mut Outputs) -> Result<()>` are models, too.
pub trait Model {
    /// Answer every row of `inputs`: put each output of the contract into `outputs`.
    ///
    /// # Errors
    /// Whatever keeps it from answering. The batch has then failed, and the model is asked on.
    fn predict(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs<'_>) -> Result<()>;
}

impl<F> Model for F
where
    F: FnMut(&Inputs<'_>, &mut Outputs<'_>) -> Result<()>,
{
    fn predict(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs<'_>) -> Result<()> {
        self(inputs, outputs)
    }
}

/// What a model is told when it is loaded.
#[derive(Clone, Debug)]
pub struct Order {
    /// The folder of the bundle, which holds the model's files.
    pub bundle: PathBuf,
    /// The folder of the environment, which holds what was built.
    pub environment: PathBuf,
    /// `entry` of `[runtime]`.
    pub entry: String,
    /// How many threads the model may compute with.
    pub threads: usize,
    /// What it is asked with, in the order of the contract.
    pub inputs: Vec<Field>,
    /// What it has to answer, in the order of the contract.
    pub outputs: Vec<Field>,
}

impl Order {
    fn read(payload: &[u8]) -> Result<Order> {
        let document = parse(std::str::from_utf8(payload)?)?;
        let member = |key: &str| {
            document
                .get(key)
                .ok_or_else(|| format!("the load document lacks {key:?}"))
        };
        let protocol = member("protocol")?.count();
        if protocol != Some(usize::from(PROTOCOL)) {
            return Err(format!("this helper speaks protocol {PROTOCOL} only").into());
        }
        let text = |key: &str| Ok::<_, Error>(member(key)?.text().unwrap_or("").to_string());
        let fields = |key: &str| -> Result<Vec<Field>> {
            let documents = member(key)?.list().unwrap_or(&[]);
            documents.iter().map(Field::read).collect()
        };
        Ok(Order {
            bundle: text("bundle")?.into(),
            environment: text("environment")?.into(),
            entry: text("entry")?,
            threads: document.get("threads").and_then(Value::count).unwrap_or(1),
            inputs: fields("inputs")?,
            outputs: fields("outputs")?,
        })
    }
}

/// Serve a model on descriptors 3 and 4, as Muster starts it, until it is told to stop.
///
/// `load` is called once, before the first question; it reads the model's files from [`Order::bundle`].
pub fn run<M, L>(load: L) -> ExitCode
where
    M: Model,
    L: FnOnce(&Order) -> Result<M>,
{
    if std::env::var_os("MUSTER_WIRE").is_none() {
        eprintln!("this program is a model: Muster starts it (muster try, muster assemble)");
        return ExitCode::from(2);
    }
    // SAFETY: Muster starts its programs with exactly these two pipes, and nothing else in this process owns them.
    let (input, output) = unsafe { (File::from_raw_fd(3), File::from_raw_fd(4)) };
    match serve(input, output, load) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("muster-host: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serve a model on any two streams until STOP or the end of `input`: what [`run`] does, for tests.
///
/// # Errors
/// The streams broke, or what came is no frame of this protocol. A model that cannot be loaded is an answer, not an error.
pub fn serve<M, L>(mut input: impl Read, mut output: impl Write, load: L) -> io::Result<()>
where
    M: Model,
    L: FnOnce(&Order) -> Result<M>,
{
    let mut payload = Vec::new();
    let mut load = Some(load);
    let mut loaded: Option<(Order, M)> = None;
    while let Some((kind, sequence)) = read_frame(&mut input, &mut payload)? {
        let frame = match (kind, &mut loaded, load.take()) {
            (STOP, _, _) => break,
            (LOAD, None, Some(load)) => match loading(&payload, load) {
                Ok(both) => {
                    loaded = Some(both);
                    frame_of(LOADED, sequence, br#"{"language": "rust", "helper": "1"}"#)
                }
                Err(error) => error_frame(sequence, "load-failed", &error),
            },
            (PREDICT, Some((order, model)), _) => match answer(sequence, &payload, order, model) {
                Ok(frame) => frame,
                Err(error) => error_frame(sequence, "model-raised", &error),
            },
            _ => {
                let problem = format!("a frame of kind {kind} was not expected");
                return Err(io::Error::new(ErrorKind::InvalidData, problem));
            }
        };
        output.write_all(&frame)?;
        output.flush()?;
    }
    Ok(())
}

fn loading<M, L: FnOnce(&Order) -> Result<M>>(payload: &[u8], load: L) -> Result<(Order, M)> {
    let order = Order::read(payload)?;
    let model = guarded(|| load(&order))?;
    Ok((order, model))
}

fn answer(sequence: u64, payload: &[u8], order: &Order, model: &mut impl Model) -> Result<Vec<u8>> {
    let table = payload
        .get(PREDICT_LEAD_BYTES..)
        .ok_or("the question is cut off")?;
    let inputs = Inputs::read(&order.inputs, table)?;
    let mut outputs = Outputs::new(&order.outputs, inputs.rows());
    guarded(|| model.predict(&inputs, &mut outputs))?;
    let mut frame = vec![0; HEAD_BYTES];
    frame.extend_from_slice(&ANSWER_LEAD);
    outputs.write(&mut frame)?;
    let length = u32::try_from(frame.len() - HEAD_BYTES)?;
    frame[..HEAD_BYTES].copy_from_slice(&head(ANSWER, length, sequence));
    Ok(frame)
}

/// What `work` gives; a panic is an error like any other.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(format!("it panicked: {}", said(&*panic)).into()))
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a word")
}

/// Kind and sequence of the next frame, its payload in `payload`; `None` where the stream ends between two frames.
fn read_frame(input: &mut impl Read, payload: &mut Vec<u8>) -> io::Result<Option<(u8, u64)>> {
    let mut head = [0; HEAD_BYTES];
    let first = loop {
        match input.read(&mut head) {
            Ok(0) => return Ok(None),
            Ok(count) => break count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    input.read_exact(&mut head[first..])?;
    if head[5] != PROTOCOL || head[6..8] != [0, 0] {
        let problem = format!("no frame of protocol {PROTOCOL}: {head:02x?}");
        return Err(io::Error::new(ErrorKind::InvalidData, problem));
    }
    let length = u32::from_le_bytes(head[..4].try_into().expect("four bytes")) as usize;
    payload.clear();
    let read = input.take(length as u64).read_to_end(payload)?;
    if read < length {
        return Err(io::Error::new(
            ErrorKind::UnexpectedEof,
            "a frame is cut off",
        ));
    }
    let sequence = u64::from_le_bytes(head[8..].try_into().expect("eight bytes"));
    Ok(Some((head[4], sequence)))
}

fn head(kind: u8, length: u32, sequence: u64) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4] = kind;
    head[5] = PROTOCOL;
    head[8..].copy_from_slice(&sequence.to_le_bytes());
    head
}

fn frame_of(kind: u8, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(kind, payload.len() as u32, sequence).to_vec();
    frame.extend_from_slice(payload);
    frame
}

fn error_frame(sequence: u64, code: &str, error: &Error) -> Vec<u8> {
    let message: String = error.to_string().chars().take(2000).collect();
    let payload = format!(
        "{{\"code\": {}, \"message\": {}}}",
        quoted(code),
        quoted(&message)
    );
    frame_of(ERROR, sequence, payload.as_bytes())
}
