//! Rounds, interleaved over the columns.

use std::sync::Barrier;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use crate::contestants::{Column, Contestant, Worker};
use crate::operation::Operation;

/// How long to measure.
pub(crate) struct Plan {
    /// Rounds of each cell.
    pub(crate) rounds: u32,
    /// CPU milliseconds of a cell in one round, per thread.
    pub(crate) millis: u32,
}

/// One cell's outcome, in microseconds.
pub(crate) struct Row {
    pub(crate) operation: Operation,
    pub(crate) threads: u16,
    pub(crate) column: Column,
    /// CPU time of the calling thread per operation, best round.
    pub(crate) cpu_best: f64,
    /// The same, median of the rounds.
    pub(crate) cpu_median: f64,
    /// Time on the clock per operation of a thread, median of the rounds.
    pub(crate) wall_median: f64,
}

/// One round of one cell.
#[derive(Clone, Copy)]
struct Sample {
    cpu: f64,
    wall: f64,
}

/// A column under measurement.
struct Cell {
    column: Column,
    workers: Vec<Worker>,
    iterations: u32,
    samples: Vec<Sample>,
}

/// Measures an operation with so many threads in all columns that have it. A column that cannot do it is named on standard error.
pub(crate) fn rows(operation: Operation, threads: u16, contestants: &[Contestant], plan: &Plan) -> Result<Vec<Row>, String> {
    let mut cells = Vec::new();
    for contestant in contestants {
        let workers: Option<Result<Vec<_>, _>> = (0..threads).map(|_| (contestant.worker)(operation)).collect();
        match workers {
            None => {}
            Some(Ok(workers)) => match start(contestant.column, workers, plan) {
                Ok(cell) => cells.push(cell),
                Err(why) => eprintln!("  without {}: {why}", contestant.column.name()),
            },
            Some(Err(why)) => eprintln!("  without {}: {why}", contestant.column.name()),
        }
    }
    for round in 0..plan.rounds as usize {
        // Another column begins each round, so that none always runs after the same neighbour.
        let count = cells.len().max(1);
        for turn in 0..cells.len() {
            let cell = &mut cells[(round + turn) % count];
            let sample = cell.round()?;
            cell.samples.push(sample);
        }
    }
    Ok(cells.into_iter().map(|cell| cell.row(operation, threads)).collect())
}

/// Warms a column up and finds how many operations fill a round.
fn start(column: Column, workers: Vec<Worker>, plan: &Plan) -> Result<Cell, String> {
    let mut cell = Cell { column, workers, iterations: 1, samples: Vec::new() };
    let target = f64::from(plan.millis) * 1000.0;
    // Waiting costs no CPU, so the clock bounds a round too.
    loop {
        let sample = cell.round()?;
        let cost = sample.cpu.max(sample.wall / 4.0).max(0.001);
        let spent = cost * f64::from(cell.iterations);
        if spent >= target / 8.0 {
            cell.iterations = (target / cost).clamp(1.0, 50_000_000.0) as u32;
            return Ok(cell);
        }
        cell.iterations = cell.iterations.saturating_mul(4);
    }
}

impl Cell {
    /// Every worker in a thread of its own, all at once. Figures are per operation, averaged over the threads.
    fn round(&mut self) -> Result<Sample, String> {
        let (iterations, barrier) = (self.iterations, Barrier::new(self.workers.len()));
        let count = self.workers.len() as f64;
        let samples: Result<Vec<Sample>, String> = std::thread::scope(|scope| {
            let handles: Vec<_> = self.workers.iter_mut().map(|worker| scope.spawn(|| timed(worker, iterations, &barrier))).collect();
            handles.into_iter().map(|handle| handle.join().unwrap_or_else(|_| Err("a worker panicked".to_owned()))).collect()
        });
        let samples = samples?;
        let mean = |pick: fn(&Sample) -> f64| samples.iter().map(pick).sum::<f64>() / count;
        Ok(Sample { cpu: mean(|sample| sample.cpu), wall: mean(|sample| sample.wall) })
    }

    fn row(&self, operation: Operation, threads: u16) -> Row {
        let mut cpu: Vec<f64> = self.samples.iter().map(|sample| sample.cpu).collect();
        let mut wall: Vec<f64> = self.samples.iter().map(|sample| sample.wall).collect();
        cpu.sort_by(f64::total_cmp);
        wall.sort_by(f64::total_cmp);
        let middle = self.samples.len() / 2;
        Row { operation, threads, column: self.column, cpu_best: cpu[0], cpu_median: cpu[middle], wall_median: wall[middle] }
    }
}

/// One operation outside the clock, for what a thread sets up at its first, and then the round.
fn timed(worker: &mut Worker, iterations: u32, barrier: &Barrier) -> Result<Sample, String> {
    let warm = worker();
    barrier.wait();
    warm?;
    let (cpu, wall) = (thread_micros(), Instant::now());
    for _ in 0..iterations {
        worker()?;
    }
    let count = f64::from(iterations);
    Ok(Sample { cpu: (thread_micros() - cpu) / count, wall: wall.elapsed().as_secs_f64() * 1e6 / count })
}

/// CPU time of the calling thread in microseconds.
fn thread_micros() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
