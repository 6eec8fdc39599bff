//! A store and a model of it in plain Rust take the same random steps, and must give the same answers.
//!
//! `MAYFLY_MODEL_STEPS` says how many steps each database takes. A run that fails prints the shortest steps that it
//! found to fail, and leaves its seed in `services/store/tests/model/seeds.txt`, which later runs try first. Commit it
//! with the remedy.

#![cfg(test)]

mod calls;
mod reference;
mod steps;

use std::sync::atomic::Ordering;

use mayfly_testkit::on_each_database;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use proptest_state_machine::ReferenceStateMachine as _;
use tokio::{runtime::Handle, task::block_in_place};

use self::{
    calls::{Calls, World},
    reference::Reference,
    steps::{Machine, Step},
};

/// How many steps one model and its store take together. Not to be changed lightly: kept seeds mean other steps then.
const STEPS_OF_A_CASE: usize = 60;
const DEFAULT_STEPS: usize = 3_000;
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/model/seeds.txt");

on_each_database! {
    async fn the_store_answers_what_the_model_answers(database: TestDatabase) {
        let world = World::new(database).await.unwrap();
        // Proptest knows nothing of async.
        block_in_place(|| take_random_steps(&world, &Handle::current()));
    }
}

fn take_random_steps(world: &World, runtime: &Handle) {
    let mut runner = TestRunner::new(Config {
        cases: u32::try_from(wanted_steps().div_ceil(STEPS_OF_A_CASE)).unwrap(),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(SEEDS))),
        ..Config::default()
    });
    let cases = Machine::sequential_strategy(STEPS_OF_A_CASE);
    let result = runner.run(&cases, |(reference, steps, taken)| {
        runtime.block_on(take_steps(world, reference, steps, || {
            if let Some(taken) = &taken {
                // What was not taken when a case fails is left out of it.
                taken.fetch_add(1, Ordering::SeqCst);
            }
        }))
    });
    if let Err(failure) = result {
        panic!("{failure}\n{runner}");
    }
}

fn wanted_steps() -> usize {
    #[expect(clippy::disallowed_methods, reason = "tests have no command line")]
    let steps = std::env::var("MAYFLY_MODEL_STEPS");
    steps.map_or(DEFAULT_STEPS, |steps| steps.parse().unwrap())
}

async fn take_steps(
    world: &World,
    mut reference: Reference,
    steps: Vec<Step>,
    mut taken: impl FnMut(),
) -> Result<(), TestCaseError> {
    let failed = |error: anyhow::Error| TestCaseError::fail(format!("{error:#}"));
    let mut store = world.any_store().await.map_err(failed)?;
    let mut calls = Calls::begin(world, &store).await.map_err(failed)?;
    for step in steps {
        taken();
        let expected = reference.answer(&step);
        if matches!(step, Step::Restart) {
            drop(store);
            store = world.open_store().await.map_err(failed)?;
        }
        let answer = calls.answer(&store, &step).await.map_err(failed)?;
        let rows = calls.rows().await.map_err(failed)?;
        proptest::prop_assert_eq!(&answer, &expected, "the store and the model differ about {:?}", step);
        proptest::prop_assert_eq!(rows, reference.rows(), "rows of the store and the model differ after {:?}", step);
    }
    calls.end(&store).await.map_err(failed)?;
    world.leave(store);
    Ok(())
}
