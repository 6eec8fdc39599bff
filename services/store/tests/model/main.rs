//! A store and a model of it take the same random steps, and must give the same responses.
//!
//! `MAYFLY_MODEL_STEPS` sets the number of steps on each database. A to_failure run prints the shortest failing steps
//! that it found, and writes its seed to `services/store/tests/model/seeds.txt`, which later runs try first. Commit it
//! with the fix.

#![cfg(test)]

mod calls;
mod generator;
mod reference;
mod steps;

use std::sync::atomic::Ordering;

use mayfly_testkit::on_each_database;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use proptest_state_machine::ReferenceStateMachine as _;
use tokio::{runtime::Handle, task::block_in_place};

use self::{
    calls::{Calls, Environment},
    generator::Machine,
    reference::Reference,
    steps::Step,
};

/// The steps of a case. A change invalidates the stored seeds.
const STEPS_PER_CASE: usize = 60;
const DEFAULT_STEPS: usize = 3_000;
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/model/seeds.txt");

on_each_database! {
    async fn the_store_responds_like_the_model(database: TestDatabase) {
        let environment = Environment::new(database).await.unwrap();
        // Proptest is not async.
        block_in_place(|| take_random_steps(&environment, &Handle::current()));
    }
}

fn take_random_steps(environment: &Environment, runtime: &Handle) {
    let mut runner = TestRunner::new(Config {
        cases: u32::try_from(configured_steps().div_ceil(STEPS_PER_CASE)).unwrap(),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(SEEDS))),
        ..Config::default()
    });
    let cases = Machine::sequential_strategy(STEPS_PER_CASE);
    let result = runner.run(&cases, |(reference, steps, taken)| {
        runtime.block_on(take_steps(environment, reference, steps, || {
            if let Some(taken) = &taken {
                // Steps that were not taken are removed from a failing case.
                taken.fetch_add(1, Ordering::SeqCst);
            }
        }))
    });
    if let Err(failure) = result {
        panic!("{failure}\n{runner}");
    }
}

fn configured_steps() -> usize {
    #[expect(clippy::disallowed_methods, reason = "tests have no command line")]
    let steps = std::env::var("MAYFLY_MODEL_STEPS");
    steps.map_or(DEFAULT_STEPS, |steps| steps.parse().unwrap())
}

async fn take_steps(
    environment: &Environment,
    mut reference: Reference,
    steps: Vec<Step>,
    mut taken: impl FnMut(),
) -> Result<(), TestCaseError> {
    let to_failure = |error: anyhow::Error| TestCaseError::fail(format!("{error:#}"));
    let mut store = environment.take_store().await.map_err(to_failure)?;
    let mut calls = Calls::begin(environment, &store).await.map_err(to_failure)?;
    for step in steps {
        taken();
        let expected = reference.respond(&step);
        if matches!(step, Step::Restart) {
            drop(store);
            store = environment.open_store().await.map_err(to_failure)?;
        }
        let response = calls.take(&store, &step).await.map_err(to_failure)?;
        let rows = calls.rows().await.map_err(to_failure)?;
        proptest::prop_assert_eq!(&response, &expected, "the store and the model differ about {:?}", step);
        proptest::prop_assert_eq!(rows, reference.rows(), "rows of the store and the model differ after {:?}", step);
    }
    calls.end(&store).await.map_err(to_failure)?;
    environment.keep_store(store);
    Ok(())
}
