import { expect, test } from 'vitest';
import { createServer } from '../../src/controller/http/server.ts';
import { ControllerProcess } from '../controller/support/controller-process.ts';
import { rawRequest } from '../controller/support/raw-request.ts';
import { problemOf } from '../controller/support/test-mesh.ts';
import { fuzzHttp } from '../fuzz/http-fuzzer.ts';

// `npm run fuzz -- http --count 100000` is the same for longer.
test('five thousand hostile requests get no 5xx, change nothing, and no secret is told', async () => {
  const result = await fuzzHttp({ count: 5000, seed: 7 });
  expect(result.failures).toEqual([]);
  expect(result.sent).toBe(5000);
  // Most of what is worth trying was tried.
  expect(Object.keys(result.codes).length).toBeGreaterThan(15);
});

test('requests that never end are cut off, and there is room for so many connections only', async () => {
  const app = await createServer({ emit: () => {}, now: Date.now });
  expect(app.server.maxConnections).toBe(4096);
  await app.close();
  const controller = new ControllerProcess(['--epoch', '60']);
  try {
    await controller.start();
    const line = 'POST /v1/nodes HTTP/1.1\r\nhost: 127.0.0.1\r\n';
    const unfinished = [
      line,
      `${line}content-length: 9\r\ncontent-type: application/json\r\n\r\n{`,
    ];
    const started = performance.now();
    const answers = await Promise.all(
      unfinished.map((text) => rawRequest(controller.port, text, 30_000)),
    );
    expect(performance.now() - started).toBeLessThan(20_000);
    for (const answer of answers) {
      expect([answer.status, problemOf(answer).code]).toEqual([408, 'request_timeout']);
    }
  } finally {
    await controller.remove();
  }
});
