import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requires } from '../lab/requirements.ts';
import { checked } from './checked.ts';

const SYSTEMD = resolve(import.meta.dirname, '../../deploy/systemd');
const SYSTEM_UNITS = ['/usr/lib/systemd/system', '/lib/systemd/system'];
const UNITS = ['meshnet-controller.service', 'meshnet-node.service'] as const;
type Unit = (typeof UNITS)[number];

const original = (unit: string) => readFileSync(join(SYSTEMD, unit), 'utf8');

requires('linux', 'systemd-analyze')('the units', () => {
  /** A root file system with what the units name, so that nothing of this machine is looked at. */
  const root = mkdtempSync(join(tmpdir(), 'units-'));
  const folder = join(root, 'usr/lib/systemd/system');
  beforeAll(() => {
    mkdirSync(join(root, 'usr/bin'), { recursive: true });
    cpSync(SYSTEM_UNITS[0]!, folder, { recursive: true, verbatimSymlinks: true });
    writeFileSync(join(root, 'usr/bin/meshnet'), '#!/bin/sh\n', { mode: 0o755 });
  });
  afterAll(() => rmSync(root, { recursive: true }));

  function verify(unit: Unit, text: string) {
    writeFileSync(join(folder, unit), text);
    return checked(['systemd-analyze', 'verify', '--man=no', `--root=${root}`, join(folder, unit)]);
  }

  function exposure(text: string): number {
    const file = join(root, 'exposed.service');
    writeFileSync(file, text);
    const { output } = checked([
      'systemd-analyze',
      'security',
      '--offline=true',
      '--no-pager',
      file,
    ]);
    return Number(/Overall exposure level for \S+: ([\d.]+)/.exec(output)?.[1]);
  }

  test.for(UNITS)('%s is one that systemd finds no fault with', (unit) => {
    expect(verify(unit, original(unit))).toEqual({ code: 0, output: '' });
  });

  test('with a misspelt key, value or program are found out', () => {
    const unit = 'meshnet-controller.service';
    for (const [right, wrong] of [
      ['WatchdogSec=60', 'WatchDogSec=60'],
      ['Type=notify', 'Type=notfy'],
      ['/usr/bin/meshnet', '/usr/bin/meshnett'],
    ] as const) {
      const { output } = verify(unit, original(unit).replace(right, wrong));
      expect(output, wrong).not.toBe('');
    }
  });

  test('let an attacker do little: under 3 of 10, and a rule that is left out is noticed', () => {
    for (const unit of UNITS) expect(exposure(original(unit)), unit).toBeLessThan(3);
    const lax = original('meshnet-controller.service').replaceAll(
      /^(?:SystemCallFilter|CapabilityBoundingSet|RestrictNamespaces)=.*$/gm,
      '',
    );
    expect(exposure(lax)).toBeGreaterThan(3);
  });

  test('a stop of the node leaves a run that lasts to its end', () => {
    expect(original('meshnet-node.service')).toMatch(/^KillMode=process$/m);
  });

  test('are given users by systemd-sysusers', () => {
    const file = join(SYSTEMD, 'meshnet.sysusers');
    const { code, output } = checked(['systemd-sysusers', '--dry-run', '--root', root, file]);
    expect(output).toMatch(/user 'meshnet' [\s\S]*user 'meshnet-score' /);
    expect(code).toBe(0);
  });
});
