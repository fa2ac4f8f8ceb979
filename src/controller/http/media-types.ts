/** JSON objects, one a line. */
export const LINES_MEDIA_TYPE = 'application/jsonl';
