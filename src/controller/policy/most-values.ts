/** Values are remembered for so many epochs; rules and probation look no further back. */
export const MOST_VALUES = 16;
