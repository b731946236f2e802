// Calls to /api/v1/ with the browser's session: CSRF token, JSON, problem+json errors.
import { t } from "./i18n";

export interface Problem {
  type?: string;
  title: string;
  status: number;
  detail?: string;
  errors?: { pointer: string; detail: string }[];
}

/** What the server refused, with its words. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title);
    this.name = "ApiError";
  }
}

/** The token that Django wants with every write. */
export function csrfToken(): string {
  const cookie = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];
  return cookie ?? document.querySelector<HTMLInputElement>("[name=csrfmiddlewaretoken]")?.value ?? "";
}

interface Options {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** The JSON answer of one call. Throws ApiError with what was wrong, also when there is no network. */
export async function api<T>(path: string, options: Options = {}): Promise<T> {
  const method = options.method ?? "GET";
  const headers: Record<string, string> = { Accept: "application/json", ...options.headers };
  if (method !== "GET") headers["X-CSRFToken"] = csrfToken();
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError({ title: t("The server cannot be reached. Check the connection."), status: 0 });
  }
  if (response.status === 204) return undefined as T;
  const json = response.headers.get("Content-Type")?.includes("json") ?? false;
  const body: unknown = json ? await response.json() : null;
  if (response.ok) return body as T;
  const title = t("The server answered with error {status}.", { status: response.status });
  throw new ApiError({ title, ...(body as object | null), status: response.status });
}
