/**
 * Name of a mesh's log. It carries the mesh id, so that no checkpoint of one mesh is taken for one of
 * another. After a restored backup the log goes on under another name: what had been told under the
 * old one may be more than the backup knows.
 *
 * @param meshId 32 bytes
 * @param series epoch that the restored mesh jumped to; 0 before any
 */
export function logOrigin(meshId: Uint8Array, series: number): string {
  const name = `aligned-meshnet.log/${new Uint8Array(meshId).toHex()}`;
  return series === 0 ? name : `${name}/${series}`;
}

/** The series that such a name tells; undefined: it is not the name of a log of this mesh. */
export function seriesOf(meshId: Uint8Array, origin: string): number | undefined {
  const series = Number(/\/([1-9]\d{0,15})$/.exec(origin)?.[1] ?? 0);
  return origin === logOrigin(meshId, series) ? series : undefined;
}
