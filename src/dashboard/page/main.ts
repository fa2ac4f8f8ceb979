import { render } from 'preact';
import { App } from './app.ts';
import { html } from './html.ts';
import { begin } from './state.ts';

const root = document.getElementById('app')!;
root.replaceChildren();
render(html`<${App} />`, root);
void begin();
