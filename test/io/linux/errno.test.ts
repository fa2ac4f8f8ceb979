import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { ERRNO, errnoName, must, SystemCallError } from '../../../src/io/linux/errno.ts';
import { missing } from '../../lab/requirements.ts';

test.skipIf(missing('linux').length > 0)('errno numbers are those of this system', () => {
  const system: Record<string, number> = { ...constants.errno };
  for (const [name, number] of Object.entries(ERRNO)) {
    if (name in system) expect([name, system[name]]).toEqual([name, number]);
  }
});

test('a failed call says which, why, and what to do', () => {
  const advice = { EPERM: 'needs CAP_NET_ADMIN; run as root or use userspace mode' };
  expect(() => must(-ERRNO.EPERM, 'TUNSETIFF', advice)).toThrow(
    new SystemCallError('TUNSETIFF', 1, advice.EPERM),
  );
  expect(() => must(-ERRNO.EPERM, 'TUNSETIFF', advice)).toThrow(
    'TUNSETIFF: EPERM: needs CAP_NET_ADMIN; run as root or use userspace mode',
  );
  expect(() => must(-ERRNO.EBUSY, 'TUNSETIFF', advice)).toThrow('TUNSETIFF: EBUSY');
  expect(must(7, 'open')).toBe(7);
});

test('an errno without a name is told by its number', () => {
  expect(errnoName(999)).toBe('errno 999');
});
