import { programOptions } from '../lab/programs.ts';
import { fuzzHttp } from './http-fuzzer.ts';

/** `npm run fuzz -- http --count N --seed S`: hostile requests to a controller; 1 if one succeeds. */
const values = programOptions({
  count: { type: 'string', default: '100000' },
  seed: { type: 'string', default: '1' },
});
const count = Number(values.count);
const result = await fuzzHttp({
  count,
  seed: Number(values.seed),
  progress: (done) => process.stderr.write(`${done} of ${count}\n`),
});
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
process.exitCode = result.failures.length === 0 ? 0 : 1;
