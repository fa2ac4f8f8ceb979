import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { requires } from '../lab/requirements.ts';
import { checked } from './checked.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const FILE = join(ROOT, 'deploy/prometheus/prometheus.yml');

requires('promtool')('the configuration of Prometheus', () => {
  const check = (file: string) => checked(['promtool', 'check', 'config', file]);

  test('is one that promtool finds no fault with; a misspelt key is found out', () => {
    expect(check(FILE)).toMatchObject({ code: 0 });
    const directory = mkdtempSync(join(tmpdir(), 'prometheus-'));
    const wrong = join(directory, 'prometheus.yml');
    writeFileSync(wrong, readFileSync(FILE, 'utf8').replace('scrape_interval', 'scrape_intervall'));
    expect(check(wrong).code).not.toBe(0);
    rmSync(directory, { recursive: true });
  });

  test('asks every part of compose.yaml that tells metrics, at its address', () => {
    const served = readFileSync(join(ROOT, 'compose.yaml'), 'utf8').matchAll(
      /--metrics=([\d.:]+)/g,
    );
    const asked = readFileSync(FILE, 'utf8').match(/[\d.]+:\d+/g);
    expect(asked?.toSorted()).toEqual([...served].map((match) => match[1]!).toSorted());
  });
});
