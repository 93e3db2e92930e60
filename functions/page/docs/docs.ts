/** What `swagger-ui-bundle.js` leaves on the page. */
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
  // Its own is on another host, which the page's policy does not let it talk to.
  validatorUrl: null,
});

export {};
