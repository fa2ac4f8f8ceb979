import fc from 'fast-check';
import { expect, test } from 'vitest';
import { maskPrefix } from '../../src/wire/prefix.ts';

const bitsOf = (address: Uint8Array): string =>
  Array.from(address, (byte) => byte.toString(2).padStart(8, '0')).join('');

test.each([4, 16])('host bits of an address of %i bytes are cleared, network bits kept', (size) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: size, maxLength: size }),
      fc.integer({ min: 0, max: size * 8 }),
      (address, length) => {
        const before = address.slice();
        const masked = maskPrefix({ address, length });
        expect(bitsOf(masked.address)).toBe(
          bitsOf(address)
            .slice(0, length)
            .padEnd(size * 8, '0'),
        );
        expect(masked.length).toBe(length);
        expect(address).toEqual(before);
      },
    ),
  );
});
