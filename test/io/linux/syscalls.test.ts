import { execFileSync } from 'node:child_process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { O_CLOEXEC, O_NONBLOCK } from '../../../src/io/linux/constants.ts';
import { ERRNO } from '../../../src/io/linux/errno.ts';
import { NativeBuffer, syscalls } from '../../../src/io/linux/syscalls.ts';
import { requires } from '../../lab/requirements.ts';

requires('linux', 'node:ffi')('system calls', () => {
  test('give results, or the errno as a negative number', () => {
    const calls = syscalls();
    const value = new NativeBuffer(8);
    const fd = calls.eventfd(5, O_NONBLOCK | O_CLOEXEC);
    expect(fd).toBeGreaterThan(2);
    expect(calls.eventfdRead(fd, value.at(0))).toBe(0);
    expect(value.view.getBigUint64(0, true)).toBe(5n);
    expect(calls.eventfdRead(fd, value.at(0))).toBe(-ERRNO.EAGAIN);
    expect(calls.close(fd)).toBe(0);
    expect(calls.close(fd)).toBe(-ERRNO.EBADF);
    expect(calls.setns(-1, 0)).toBe(-ERRNO.EBADF);
  });

  test('tell the right errno however often they fail', () => {
    const calls = syscalls();
    const wrong = new Set<number>();
    const garbage: unknown[] = [];
    for (let i = 0; i < 100_000; i++) {
      wrong.add(calls.close(-1));
      if (i % 64 === 0) garbage.push(new ArrayBuffer(4096)); // makes the collector work between
    }
    expect([...wrong]).toEqual([-ERRNO.EBADF]);
  });

  test('are given memory that stays where it is with nobody referring to it', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const reference = new WeakRef(new NativeBuffer(16));
    return new Promise<void>((resolve) => {
      setTimeout(() => {
        collect();
        expect(reference.deref()).toBeDefined();
        resolve();
      }, 0);
    });
  });

  test('store addresses with a carry into their upper half', () => {
    const buffer = new NativeBuffer(1 << 16);
    for (const offset of [0, 1, 65535, 2 ** 31, 2 ** 32 - 1]) {
      buffer.storeAddress(buffer.view, 8, offset);
      expect(buffer.view.getBigUint64(8, true)).toBe(buffer.at(offset));
    }
  });

  test('are loaded without a warning', () => {
    const module = new URL('../../../src/io/linux/syscalls.ts', import.meta.url).href;
    const script = `const { syscalls } = await import('${module}'); syscalls(); process.emitWarning('other');`;
    const output = execFileSync(
      'sh',
      ['-c', '"$0" --input-type=module -e "$1" 2>&1', process.execPath, script],
      { encoding: 'utf8' },
    );
    expect(output).toContain('Warning: other');
    expect(output).not.toContain('FFI');
  });

  test('say why they cannot be made where node:ffi is switched off', () => {
    const module = new URL('../../../src/io/linux/syscalls.ts', import.meta.url).href;
    const script = `const { unsupported } = await import('${module}'); process.stdout.write(String(unsupported()));`;
    const output = execFileSync(
      process.execPath,
      ['--no-experimental-ffi', '--input-type=module', '-e', script],
      { encoding: 'utf8' },
    );
    expect(output).toContain('node:ffi');
  });
});
