/** What a function host gives its worker threads in memory, by name: `setEnvironmentData` of node:worker_threads. */

/** The shared staging memory (`SharedStaging`). */
export const SHARED_STAGING = 'ekko shared staging';

/** The vault's private key, 32 bytes: one that lies in no file. Secret. */
export const PRIVATE_KEY = 'ekko private key';
