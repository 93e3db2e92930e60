terraform {
  # 1.9: a validation may compare one variable with another.
  required_version = ">= 1.9, < 2.0"

  required_providers {
    google = {
      source = "hashicorp/google"
      # 6.50 is the version whose schema the tests have; 8.0 may remove what the module uses.
      version = ">= 6.50, < 8.0"
    }
  }
}
