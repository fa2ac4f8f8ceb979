import { useState } from 'preact/hooks';
import { html } from './html.ts';
import { signIn, signOut, useSession } from './session.ts';

/** Where an access token becomes a session of this browser. */
export function SignInPage({ onSignedIn }: { onSignedIn: () => void }) {
  const session = useSession();
  const [failure, setFailure] = useState<string | undefined>();
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const field = form.elements.namedItem('token') as HTMLInputElement;
    const token = field.value;
    field.value = ''; // it is not needed here any more, whatever comes of it
    const failed = await signIn(token);
    setFailure(failed);
    if (failed === undefined) onSignedIn();
  };
  if (session !== undefined && session.name !== null) {
    return html`<h1>Signed in</h1>
      <p>As <b>${session.name}</b>, with the role <b>${session.role}</b>.</p>
      <p><button type="button" onClick=${signOut}>Sign out</button></p>`;
  }
  const why = session?.mustSignIn
    ? 'This page is reached from another machine: whoever looks says by an access token who it is.'
    : 'On this machine everybody may look. Changing something needs an access token with the role admin.';
  return html`<h1>Sign in</h1>
    <p>${why} An admin makes one:</p>
    <pre>meshnet access create NAME --role view</pre>
    <form method="post" onSubmit=${submit}>
      <label for="token">Access token</label>${' '}
      <input id="token" type="password" autocomplete="off" spellcheck=${false} required />${' '}
      <button>Sign in</button>
    </form>
    ${failure && html`<p role="alert" class="failure">${failure}</p>`}`;
}
