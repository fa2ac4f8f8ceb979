import { expect } from 'vitest';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { fromHex } from '../lab/vectors.ts';
import {
  type Name,
  type ResponseStep,
  type Scenario,
  type Session,
  type Step,
  sessionOf,
} from './recording.ts';
import { StandIn } from './stand-in.ts';

const ZERO_PSK = '00'.repeat(32);

/**
 * Plays `scenario` with a device of ours as `name`: it must send exactly the recorded handshake
 * messages, accept and reject what the recorded one did, and derive the same transport keys.
 */
export function replay(crypto: CryptoProvider, scenario: Scenario, name: Name): void {
  replayUntil(crypto, scenario, name, scenario.steps.length);
}

/** Plays the steps before `until` only. */
export function replayUntil(
  crypto: CryptoProvider,
  scenario: Scenario,
  name: Name,
  until: number,
): StandIn {
  const standIn = new StandIn(crypto, scenario, name);
  for (const step of scenario.steps.slice(0, until)) {
    if (step.type === 'transport') takeTransport(standIn, scenario, step);
    else if (step.from === name) sendStep(standIn, scenario, step);
    else receiveStep(standIn, scenario, step);
  }
  expect(standIn.takeSent()).toEqual([]);
  return standIn;
}

/** An initiation of ours is to be sent now; everything else was sent as an answer, before. */
function sendStep(standIn: StandIn, scenario: Scenario, step: Step): void {
  if (step.type !== 'initiation') return;
  adoptPresharedKey(standIn, scenario, step.step);
  standIn.initiate(step);
  expect(standIn.takeSent(), `step ${step.step}`).toEqual([step.message]);
}

export function receiveStep(
  standIn: StandIn,
  scenario: Scenario,
  step: Exclude<Step, { type: 'transport' }>,
): void {
  const answer = answerTo(scenario, step);
  if (step.type === 'initiation') adoptPresharedKey(standIn, scenario, step.step);
  // The recorded device was under load when it wanted a cookie and when it was shown one.
  if (answer?.type === 'cookie-reply' || (step.type !== 'cookie-reply' && step.cookie)) {
    standIn.putUnderLoad();
  }
  if (answer !== undefined) standIn.secrets.use(answer);
  const rejectsBefore = { ...standIn.device.rejects };
  const installedBefore = standIn.plane.installed.length;

  standIn.receive(fromHex(step.message));

  expect(standIn.takeSent(), `answer to step ${step.step}`).toEqual(answer ? [answer.message] : []);
  const expected = { ...rejectsBefore };
  if (step.outcome === 'rejected') expected.responseUnauthenticated++;
  if (step.outcome === 'cookie-demanded') expected.underLoadCookieSent++;
  expect(standIn.device.rejects, `step ${step.step}`).toEqual(expected);
  const session = sessionFrom(scenario, step, answer);
  expect(standIn.plane.installed.length - installedBefore).toBe(session === undefined ? 0 : 1);
  if (session === undefined) return;
  const { isInitiator, ...keypair } = sessionOf(session, standIn.name);
  expect(standIn.plane.installed.at(-1)).toMatchObject(keypair);
  if (isInitiator) expectSendsOnNewest(standIn);
}

/** The session whose keys the receiver of `step` derives because of it. */
function sessionFrom(
  scenario: Scenario,
  step: Step,
  answer: Step | undefined,
): Session | undefined {
  if (answer?.type === 'response') return scenario.sessions[answer.session];
  if (step.type !== 'response' || step.outcome !== 'accepted') return undefined;
  return scenario.sessions[step.session];
}

/** A responder sends on a keypair once the first packet has come in on it. */
function takeTransport(
  standIn: StandIn,
  scenario: Scenario,
  step: Extract<Step, { type: 'transport' }>,
): void {
  const isFirst = !scenario.steps.some(
    (s) => s.type === 'transport' && s.session === step.session && s.step < step.step,
  );
  if (!isFirst || step.to !== standIn.name) return;
  standIn.confirm();
  expectSendsOnNewest(standIn);
}

function expectSendsOnNewest(standIn: StandIn): void {
  expect(standIn.plane.sentOn.at(-1)).toBe(standIn.plane.installed.at(-1)!.slot);
}

export function answerTo(scenario: Scenario, step: Step) {
  return scenario.steps.find(
    (s): s is ResponseStep | Extract<Step, { type: 'cookie-reply' }> =>
      (s.type === 'response' || s.type === 'cookie-reply') && s.answers_step === step.step,
  );
}

/** Both ends were given the session's PSK before its handshake, unless theirs were to differ. */
function adoptPresharedKey(standIn: StandIn, scenario: Scenario, initiationStep: number): void {
  const response = scenario.steps.find(
    (s): s is ResponseStep => s.type === 'response' && s.answers_step === initiationStep,
  );
  if (response?.outcome !== 'accepted') return;
  const present = scenario.devices[standIn.name].preshared_key ?? ZERO_PSK;
  if (response.preshared_key !== present) standIn.setPresharedKey(response.preshared_key);
}
