import { Lab, type Namespace } from '../../test/lab/netns.ts';

/** One end of a link: a network namespace and its address in it. */
export interface LinkEnd {
  readonly namespace: string;
  readonly address: string;
}

/** Two network namespaces with a veth pair between them. */
export class Link {
  readonly left: LinkEnd;
  readonly right: LinkEnd;
  private readonly lab = new Lab();

  constructor() {
    const namespaces: [Namespace, Namespace] = [this.lab.namespace('l'), this.lab.namespace('r')];
    const [left, right] = ['192.168.77.1', '192.168.77.2'] as const;
    this.lab.veth(...namespaces, { left: [`${left}/24`], right: [`${right}/24`] });
    this.left = { namespace: namespaces[0].name, address: left };
    this.right = { namespace: namespaces[1].name, address: right };
  }

  /** Throws if something was left behind in them. */
  async close(): Promise<void> {
    const leaks = await this.lab.close();
    if (leaks.length > 0) throw new Error(`left behind:\n${leaks.join('\n')}`);
  }
}
