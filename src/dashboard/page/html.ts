import htm from 'htm';
import { type ComponentChild, h } from 'preact';

/** Templates as elements. Whatever is put into one is text: names and reasons cannot become markup. */
export const html = (htm as unknown as CallableFunction).bind(h) as (
  strings: TemplateStringsArray,
  ...values: unknown[]
) => ComponentChild;
