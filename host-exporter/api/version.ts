import manifest from '../../package.json' with { type: 'json' };

export const EXPORTER_VERSION: string = manifest.version;
