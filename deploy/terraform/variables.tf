variable "project" {
  description = "The project's ID."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is an ID of 6 to 30 lower case letters, digits and hyphens, not a name or a number."
  }
}

variable "region" {
  description = "The region of the service, the bucket and the trigger."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is a region such as europe-west1, not a zone."
  }
}

variable "name" {
  description = "The name of the service, of its account, and of the trigger. The build's account is this name with -build."
  type        = string
  default     = "ml-model"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,22}[a-z0-9]$", var.name))
    error_message = "name has 6 to 24 lower case letters, digits and hyphens, so that it and name-build are names of accounts."
  }
}

variable "image" {
  description = "The image of the first deployment: it has to be in the registry. Later ones are Cloud Build's, or gcloud's: Terraform leaves the image as it is."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+/.+[:@].+$", var.image))
    error_message = "image has a registry, and a tag or a digest: europe-west1-docker.pkg.dev/my-project/ml/ml-model:1.0."
  }
}

variable "settings" {
  description = "Settings of the server, as docs/operate/settings.md lists them: { LOG_REQUESTS = \"all\" }."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "Names of settings are upper case: LOG_REQUESTS."
  }
  validation {
    condition     = alltrue([for name in keys(var.settings) : !contains(["PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"], name)])
    error_message = "Cloud Run sets PORT and K_* itself, and refuses a service that sets them."
  }
}

variable "secrets" {
  description = "Settings whose values are secrets: from a setting's name to the ID of the secret that Terraform creates for it: { REDIS_URL = \"redis-url\" }. Add a version to each before the service is created."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, id in var.secrets : can(regex("^[A-Z][A-Z0-9_]*$", name)) && can(regex("^[A-Za-z0-9_-]{1,255}$", id))])
    error_message = "secrets goes from a setting's name, REDIS_URL, to a secret's ID, redis-url."
  }
  validation {
    condition     = length(setintersection(keys(var.secrets), keys(var.settings))) == 0
    error_message = "A setting is in settings or in secrets, not in both."
  }
}

variable "bucket" {
  description = "The name of the bucket to create for models, which the service may read; null for none, with the model in the image."
  type        = string
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is a name of 3 to 63 lower case letters, digits, dots, hyphens and underscores, without gs://."
  }
}

variable "model_path" {
  description = "The model in the bucket: the folder of model.onnx, or of a repository."
  type        = string
  default     = "model"

  validation {
    condition     = can(regex("^[^/].*[^/]$|^[^/]$", var.model_path))
    error_message = "model_path has no slash at its ends: model, models/fraud."
  }
}

variable "network" {
  description = "Network and subnetwork for direct VPC egress, for Redis: the subnetwork is in the region, of /26 or larger. null for none."
  type        = object({ network = string, subnetwork = string })
  default     = null
}

variable "cpu" {
  description = "CPUs of an instance."
  type        = number
  default     = 2

  validation {
    condition     = contains([1, 2, 4, 6, 8], var.cpu)
    error_message = "cpu is 1, 2, 4, 6 or 8."
  }
}

variable "memory" {
  description = "Memory of an instance in GiB."
  type        = number
  default     = 2

  validation {
    condition     = var.memory >= lookup({ 4 = 2, 6 = 4, 8 = 4 }, var.cpu, 1) && var.memory <= lookup({ 1 = 4, 2 = 8, 4 = 16, 6 = 24, 8 = 32 }, var.cpu, 0)
    error_message = "Cloud Run takes 1 to 4 GiB with 1 CPU, to 8 with 2, 2 to 16 with 4, 4 to 24 with 6, 4 to 32 with 8."
  }
}

variable "min_instances" {
  description = "Instances that are kept warm; with 0 the first request waits for a start."
  type        = number
  default     = 0

  validation {
    condition     = var.min_instances >= 0 && var.min_instances <= var.max_instances
    error_message = "min_instances is at least 0, and no more than max_instances."
  }
}

variable "max_instances" {
  description = "The most instances, which limits the bill."
  type        = number
  default     = 10

  validation {
    condition     = var.max_instances >= 1
    error_message = "max_instances is at least 1."
  }
}

variable "cpu_always_allocated" {
  description = "Whether instances have CPU between requests too, for MODEL_REFRESH_SECONDS, at the price of instance-based billing."
  type        = bool
  default     = false
}

variable "ingress" {
  description = "all: callers on the internet, whom IAM checks; internal; or internal-and-cloud-load-balancing."
  type        = string
  default     = "all"

  validation {
    condition     = contains(["all", "internal", "internal-and-cloud-load-balancing"], var.ingress)
    error_message = "ingress is all, internal or internal-and-cloud-load-balancing."
  }
}

variable "invokers" {
  description = "Who may call the service: user:somebody@example.com, serviceAccount:…, group:…, domain:…. Nobody else, besides the project's editors and owners."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.invokers : can(regex("^(user|serviceAccount|group|domain|principal|principalSet):.+$", member))])
    error_message = "invokers are members such as user:somebody@example.com. allUsers is refused: the module keeps the service private."
  }
}

variable "labels" {
  description = "More labels for the service, its revisions, the bucket and the secrets."
  type        = map(string)
  default     = {}
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the service, and a bucket that is not empty."
  type        = bool
  default     = true
}

variable "trigger" {
  description = "The repository on GitHub, connected to Cloud Build, whose commits are built and deployed; the repository of images in Artifact Registry; and other substitutions of cloudbuild.yaml. null for none."
  type = object({
    owner             = string
    repository        = string
    branch            = optional(string, "^main$")
    file              = optional(string, "cloudbuild.yaml")
    image_repository  = optional(string, "ml")
    substitutions     = optional(map(string), {})
    approval_required = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.trigger == null || alltrue([for name in keys(try(var.trigger.substitutions, {})) : can(regex("^_[A-Z0-9_]+$", name))])
    error_message = "Substitutions begin with an underscore: _GOLDEN."
  }
}
