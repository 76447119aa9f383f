//! privnet on GCP: Private Service Connect service attachments.
