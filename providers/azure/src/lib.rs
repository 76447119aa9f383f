//! privnet on Azure: Private Link Service, and approvals on services that Azure hosts.
