// Swagger UI over our own description of the API; it asks no other host for anything.

interface SwaggerUi {
  (options: Record<string, unknown>): unknown;
}
declare const SwaggerUIBundle: SwaggerUi;

const root = document.getElementById("swagger-ui");
const description = root?.dataset["spec"];
if (root && description) {
  SwaggerUIBundle({
    url: description,
    domNode: root,
    deepLinking: true,
    docExpansion: "list",
    validatorUrl: null,
    persistAuthorization: false,
    tryItOutEnabled: root.dataset["try"] !== undefined,
  });
}
