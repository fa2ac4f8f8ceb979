import { run } from './commands.ts';

/** One end of a link: a network namespace and its address in it. */
export interface LinkEnd {
  readonly namespace: string;
  readonly address: string;
}

let links = 0;

/** Two network namespaces with a veth pair between them. */
export class Link {
  readonly left: LinkEnd;
  readonly right: LinkEnd;

  constructor() {
    const prefix = `b${process.pid.toString(36)}${(links++).toString(36)}`;
    this.left = { namespace: `${prefix}l`, address: '192.168.77.1' };
    this.right = { namespace: `${prefix}r`, address: '192.168.77.2' };
    for (const { namespace } of [this.left, this.right]) {
      run('ip', 'netns', 'add', namespace);
      run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
    }
    const ends = [this.left.namespace, this.right.namespace] as const;
    const link = `ip link add eth0 netns ${ends[0]} type veth peer name eth0 netns ${ends[1]}`;
    run('ip', ...link.split(' ').slice(1));
    for (const { namespace, address } of [this.left, this.right]) {
      run('ip', '-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0');
      run('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
    }
  }

  close(): void {
    for (const { namespace } of [this.left, this.right]) run('ip', 'netns', 'delete', namespace);
  }
}
