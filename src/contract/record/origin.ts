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
