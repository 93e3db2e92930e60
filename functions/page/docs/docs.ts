import { credentials } from '../session.ts';

/** The global function of `swagger-ui-bundle.js`. */
declare const SwaggerUIBundle: (options: object) => unknown;

const dark = matchMedia('(prefers-color-scheme: dark)');
const follow = (): void => void document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', follow);
follow();

SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#viewer',
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  // The default validator is on another host, which the page's policy forbids.
  validatorUrl: null,
  // The token that was given to the page at `/`; one that is given here goes before it.
  requestInterceptor(request: { headers: Record<string, string> }) {
    request.headers = { ...credentials(), ...request.headers };
    return request;
  },
});
