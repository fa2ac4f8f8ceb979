/** What a rule says of the values of a suite. */
export interface Finding {
  readonly cuts: boolean;
  /** The number that it went by; each rule says which. */
  readonly amount: number;
}
