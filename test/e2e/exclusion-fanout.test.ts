import { expect, test } from 'vitest';
import { measureFanout } from '../prove/fanout-run.ts';

test('all agents of a controller hear of an exclusion and apply its config soon', async () => {
  const result = await measureFanout({ agents: 10, rounds: 3, processes: 1 });
  expect(result.event_ms.count).toBe(30); // the denied one lets go, too
  expect(result.last_event_ms.p50).toBeLessThan(10_000);
  expect(result.last_config_ms.p50).toBeLessThan(20_000);
}, 300_000);
