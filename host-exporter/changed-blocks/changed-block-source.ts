/** What a source of changed blocks is: told with the staging of what it gives, for a vault can be one, too. */
export type * from '#vault/staging/changed-block-source.ts';
