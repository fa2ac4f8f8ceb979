import htm from 'htm';
import { type ComponentChild, type ComponentType, h } from 'preact';
import { printable } from '../../contract/printable.ts';

/** Attributes that are read, or read out. */
const READ = ['title', 'aria-label'] as const;

type Props = Readonly<Record<string, unknown>> | null;

/** An element of the page whose texts hide nothing and turn nothing around them. */
function element(type: string | ComponentType, props: Props, ...children: unknown[]) {
  let shown = props;
  if (typeof type === 'string') {
    for (const name of READ) {
      const value = shown?.[name];
      if (typeof value === 'string') shown = { ...shown, [name]: printable(value) };
    }
  }
  const texts = children.map((one) => (typeof one === 'string' ? printable(one) : one));
  return h(type as string, shown as object, ...(texts as ComponentChild[]));
}

/**
 * Templates as elements. Whatever is put into one is text: names and reasons cannot become markup, and
 * what in them would turn or hide the text around is shown as U+FFFD.
 */
export const html = (htm as unknown as CallableFunction).bind(element) as (
  strings: TemplateStringsArray,
  ...values: unknown[]
) => ComponentChild;
