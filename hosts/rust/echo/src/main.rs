//! The echo model: gives back what it was given, and does what its first input says. For the conformance kit.

use muster_host::{run, Datatype, Half, Inputs, Model, Number, Outputs, Result};
use std::process::{exit, ExitCode};
use std::thread::sleep;
use std::time::Duration;

#[derive(Default)]
struct Echo {
    held: Vec<Vec<u8>>,
}

impl Model for Echo {
    fn predict(&mut self, inputs: &Inputs, outputs: &mut Outputs) -> Result<()> {
        if inputs.fields().iter().any(|field| field.name == "act") {
            for act in inputs.texts("act")? {
                self.act(act)?;
            }
        }
        for field in inputs.fields() {
            let name = &field.name;
            match field.datatype {
                Datatype::Bool => echo::<bool>(inputs, outputs, name),
                Datatype::Uint8 => echo::<u8>(inputs, outputs, name),
                Datatype::Uint16 => echo::<u16>(inputs, outputs, name),
                Datatype::Uint32 => echo::<u32>(inputs, outputs, name),
                Datatype::Uint64 => echo::<u64>(inputs, outputs, name),
                Datatype::Int8 => echo::<i8>(inputs, outputs, name),
                Datatype::Int16 => echo::<i16>(inputs, outputs, name),
                Datatype::Int32 => echo::<i32>(inputs, outputs, name),
                Datatype::Int64 => echo::<i64>(inputs, outputs, name),
                Datatype::Fp16 => echo::<Half>(inputs, outputs, name),
                Datatype::Fp32 => echo::<f32>(inputs, outputs, name),
                Datatype::Fp64 => echo::<f64>(inputs, outputs, name),
                Datatype::Bytes => outputs.put_with_nulls(
                    &answered(name),
                    &inputs.texts(name)?,
                    &inputs.nulls(name)?,
                ),
            }?;
        }
        Ok(())
    }
}

impl Echo {
    fn act(&mut self, act: &str) -> Result<()> {
        match act.split_once(':') {
            None if act == "raise" => return Err("asked to".into()),
            None if act == "print" => println!("asked to print"),
            None if act == "exit" => exit(3),
            Some(("sleep", ms)) => sleep(Duration::from_millis(ms.parse()?)),
            Some(("allocate", mib)) => {
                let mut memory = Vec::new();
                let bytes = mib.parse::<usize>()? << 20;
                memory.try_reserve_exact(bytes)?;
                memory.resize(bytes, 1);
                self.held.push(memory);
            }
            _ => {}
        }
        Ok(())
    }
}

fn answered(name: &str) -> String {
    format!("y_{name}")
}

fn echo<T: Number>(inputs: &Inputs, outputs: &mut Outputs, name: &str) -> Result<()> {
    let nulls = inputs.nulls(name)?;
    outputs.put_with_nulls(&answered(name), &inputs.values::<T>(name)?, &nulls)
}

fn main() -> ExitCode {
    run(|_| Ok(Echo::default()))
}
