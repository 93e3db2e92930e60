/**
 * The flags of node for the server. Requests leave no long-lived objects, so a small young generation is collected as well as a
 * large one, fits the processor's cache, and keeps the memory constant: with 16 MB, V8's default, the process grew by 50 MB within
 * 200,000 requests, and was not faster. Without Maglev, V8's middle compiler, the process keeps 17 MB less, because its compilations
 * take memory that the C library does not return; the optimizing compiler takes over as soon, at the same CPU time for a request.
 */
export const SERVER_FLAGS = ['--max-semi-space-size=2', '--no-maglev'];
