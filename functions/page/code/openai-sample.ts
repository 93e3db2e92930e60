/** What OpenAI's client asks for. */
export interface EmbeddingRequest {
  /** The server's address of OpenAI's API: `https://host/v1`. */
  readonly url: string;
  readonly model: string;
  readonly texts: readonly string[];
}

/** The embeddings of texts by OpenAI's own client for Python. */
export function openAiSampleOf({ url, model, texts }: EmbeddingRequest, hasToken: boolean): string {
  return [
    '# pip install openai',
    ...(hasToken ? ['import os', ''] : []),
    'from openai import OpenAI',
    '',
    `client = OpenAI(base_url=${JSON.stringify(url)}, api_key=${hasToken ? 'os.environ["TOKEN"]' : '"none"'})`,
    `texts = ${JSON.stringify(texts)}`,
    `response = client.embeddings.create(model=${JSON.stringify(model)}, input=texts)`,
    'print([one.embedding for one in response.data])',
  ].join('\n');
}
