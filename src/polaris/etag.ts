import { createHash } from 'node:crypto';

/**
 * The ETag by which Polaris 1.7.0 names a table that stands at this metadata location (recorded): a weak one, as the
 * strong form is ignored. Knowing it beforehand makes "is it there yet?" a conditional GET that reads no metadata file.
 */
export const etagOf = (metadataLocation: string): string =>
  `W/"${createHash('sha256').update(metadataLocation, 'utf8').digest('hex')}"`;
