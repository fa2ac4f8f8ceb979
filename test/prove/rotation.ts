import { programOptions } from '../lab/programs.ts';
import { type RotationReport, RotationRun, SCENARIOS } from '../lab/rotation.ts';

/**
 * npm run prove -- rotation [--rotations N] [--rate N] [--epoch MS] [--seed N] [--only TEXT]
 *
 * Rotation loses nothing: every scenario of test/lab/rotation.ts in simulated time, a packet
 * per millisecond in each direction, every packet accounted for. JSON on stdout; exit code 1 if a
 * packet was lost, duplicated, altered or taken from somebody who was denied.
 */
const values = programOptions({
  rotations: { type: 'string', default: '1000' },
  rate: { type: 'string', default: '1000' },
  epoch: { type: 'string' },
  seed: { type: 'string', default: '1' },
  only: { type: 'string', default: '' },
});
const [rotations, rate, seed] = [values.rotations, values.rate, values.seed].map(Number) as [
  number,
  number,
  number,
];
const epoch = values.epoch === undefined ? undefined : Number(values.epoch);

const isFlawless = (report: RotationReport): boolean =>
  report.lost === 0 &&
  report.duplicated === 0 &&
  report.altered === 0 &&
  report.misdelivered === 0 &&
  report.acceptedFromDenied === 0;

const results: (RotationReport & { flawless: boolean; seconds: number })[] = [];
for (const scenario of SCENARIOS.filter(({ name }) => name.includes(values.only))) {
  const started = performance.now();
  let shownAt = started;
  const run = new RotationRun(
    epoch === undefined ? scenario : { ...scenario, epochMs: epoch },
    seed,
    rate,
  );
  const report = run.run(rotations, (done) => {
    const now = performance.now();
    if (now - shownAt < 5000) return;
    shownAt = now;
    process.stderr.write(`${scenario.name}: ${done} of ${rotations} rotations\n`);
  });
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  results.push({ ...report, flawless: isFlawless(report), seconds });
  process.stderr.write(`${scenario.name}: ${report.packetsSent} packets, ${report.lost} lost\n`);
}
const flawless = results.length > 0 && results.every((result) => result.flawless);
console.log(JSON.stringify({ flawless, packetsPerSecond: rate, scenarios: results }, undefined, 1));
process.exit(flawless ? 0 : 1);
