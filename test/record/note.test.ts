import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodeProvider as crypto } from '../../src/crypto/node.ts';
import {
  logKey,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from '../../src/record/checkpoint.ts';
import {
  cosignNote,
  formatNote,
  formatSignature,
  type NoteKey,
  parseNote,
  parseSignatures,
  parseVerifierKey,
  verifierKeyText,
  verifyNote,
} from '../../src/record/note.ts';

const seed = new Uint8Array(32).fill(7);
const publicKey = crypto.ed25519Public(seed);
const log = logKey('mesh.example/log', publicKey);
const root = new Uint8Array(32).fill(5);
const signed = signCheckpoint(crypto, seed, { origin: log.name, size: 300, root });

const witnessSeed = new Uint8Array(32).fill(8);
const witness: NoteKey = {
  name: 'witness.example/w1',
  algorithm: 'cosignature',
  publicKey: crypto.ed25519Public(witnessSeed),
};

describe('checkpoint', () => {
  test('opens with the key of its log', () => {
    expect(openCheckpoint(crypto, log, signed)).toMatchObject({
      origin: log.name,
      size: 300,
      root,
    });
  });

  test('does not open with another key or under another name', () => {
    expect(
      openCheckpoint(crypto, { ...log, publicKey: witness.publicKey }, signed),
    ).toBeUndefined();
    expect(openCheckpoint(crypto, { ...log, name: 'mesh.example/other' }, signed)).toBeUndefined();
  });

  test('does not open once any of its bytes is another', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: signed.length - 1 }),
        fc.integer({ min: 1, max: 127 }),
        (at, by) => {
          const changed = String.fromCharCode(signed.charCodeAt(at) ^ by);
          const text = signed.slice(0, at) + changed + signed.slice(at + 1);
          return openCheckpoint(crypto, log, text) === undefined;
        },
      ),
      { numRuns: 500 },
    );
  });

  test.each([
    'log\n1\n',
    'log\n01\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n',
    'log\n-1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n',
    'log\n9007199254740993\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n',
    'log\n1\nAAAA\n',
    'log\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
    '\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n',
    'log\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n',
  ])('%j is none', (text) => {
    expect(parseCheckpoint(text)).toBeUndefined();
  });

  test('may have extensions', () => {
    const text = 'log\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nmore\n';
    expect(parseCheckpoint(text)).toMatchObject({ size: 1 });
  });
});

describe('cosignature', () => {
  const note = parseNote(signed)!;
  const cosigned = {
    ...note,
    signatures: [
      ...note.signatures,
      cosignNote(crypto, witnessSeed, witness, note.text, 1_800_000_000),
    ],
  };

  test('says which witness saw the checkpoint, and when', () => {
    const read = parseNote(formatNote(cosigned))!;
    expect(verifyNote(crypto, read, witness)).toEqual({ timeS: 1_800_000_000 });
    expect(openCheckpoint(crypto, log, formatNote(cosigned))).toBeDefined();
    expect(verifyNote(crypto, note, witness)).toBeUndefined();
  });

  test('does not count for another time, and a false one spoils the note', () => {
    const forged = new Uint8Array(cosigned.signatures[1]!.bytes);
    forged[11]! ^= 1; // the last byte of the time
    const spoiled = {
      ...note,
      signatures: [...cosigned.signatures, { name: witness.name, bytes: forged }],
    };
    expect(verifyNote(crypto, spoiled, witness)).toBeUndefined();
  });

  test('comes alone in the answer of a witness', () => {
    const [line] = cosigned.signatures.slice(1).map(formatSignature);
    expect(parseSignatures(line!)).toEqual(cosigned.signatures.slice(1));
    expect(parseSignatures(line!.trimEnd())).toBeUndefined();
    expect(parseSignatures('\u2014 a b\n')).toBeUndefined();
    expect(parseSignatures(line!.repeat(101))).toBeUndefined();
  });
});

describe('verifier key', () => {
  test.each([log, witness])('of $name is told as text', (key) => {
    const text = verifierKeyText(crypto, key);
    expect(parseVerifierKey(crypto, text)).toEqual(key);
    expect(parseVerifierKey(crypto, `x${text}`)).toBeUndefined(); // the hash covers the name
  });

  test('of an unknown algorithm is none', () => {
    expect(parseVerifierKey(crypto, 'a+00000000+AAAA')).toBeUndefined();
  });
});

test.each(['', 'text\n', 'text\n\n', 'text\n\n\u2014 name AAAA', 'a\tb\n\n\u2014 n AAAAAAAA\n'])(
  '%j is no note',
  (text) => {
    expect(parseNote(text)).toBeUndefined();
  },
);
